"""Queries and writes of the busiest page, whose SQL is made once.

Django makes the SQL of a statement anew each time. With a few joins or columns that takes ten times as long as the
database takes to do it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.constants import OnConflict


class Prepared:
    """Columns of a query with blanks, which are filled in when it is asked.

    states = Prepared(["position", "state"], lambda visit: Assignment.objects.filter(visit=visit), "visit")
    states.rows(visit=visit.pk)
    """

    def __init__(self, columns: Iterable[str], query: Callable[..., QuerySet], *blanks: str):
        self._columns, self._query = tuple(columns), query
        # Values by which the blanks are found again among the SQL's parameters, as texts or as numbers.
        self._blanks = {str(771_000_000 + place): name for place, name in enumerate(blanks)}

    def rows(self, **filled: Any) -> list[tuple]:
        sql, parameters, converters = self._made
        with connection.cursor() as cursor:
            cursor.execute(
                sql, [filled[self._blanks[key]] if (key := str(p)) in self._blanks else p for p in parameters]
            )
            rows = cursor.fetchall()
        return [_converted(row, converters) for row in rows] if converters else rows

    @cached_property
    def _made(self) -> tuple[str, tuple, list]:
        query = self._query(**{name: value for value, name in self._blanks.items()}).values_list(*self._columns).query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        return sql, parameters, list(converters.items())


class PreparedObject(Prepared):
    """A prepared query for one object and those it points to, with the named columns; all others are loaded when asked.

    found = PreparedObject(Visit, ["stage", "version__fingerprint"], lambda key: Visit.objects.filter(keys=key), "key")
    """

    def __init__(self, model: type[Model], columns: Iterable[str], query: Callable[..., QuerySet], *blanks: str):
        paths = {path for column in columns for path in _paths(column)}
        super().__init__(["pk", *(f"{path}__pk" for path in sorted(paths)), *columns], query, *blanks)
        self._assemble = _assembly(model, {column: place for place, column in enumerate(self._columns)})

    def find(self, **filled: Any) -> Any:
        rows = self.rows(**filled)
        return self._assemble(rows[0]) if rows else None


class _PreparedWrite:
    def __init__(self, model: type[Model], columns: Iterable[str]):
        self._meta: Any = model._meta
        self._fields = self._named(columns)

    def _named(self, columns: Iterable[str]) -> list[Any]:
        return [self._meta.get_field(column) for column in columns]

    def _values(self, row: Sequence) -> list:
        """The row as the database has it: sealed where its column is, with relations by their keys."""
        return [field.get_db_prep_save(value, connection) for field, value in zip(self._fields, row, strict=True)]

    @staticmethod
    def _execute(sql: str, values: list) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)


class PreparedInsert(_PreparedWrite):
    """New rows of a model. Where `unique` are as in an old row, that one gets the new values of `replaced` instead.

    rated = PreparedInsert(Rating, ["exposure", "criterion", "value"], ["exposure", "criterion"], ["value"])
    rated.rows([(exposure.pk, criterion.pk, 7)])
    """

    def __init__(
        self, model: type[Model], columns: Iterable[str], unique: Iterable[str] = (), replaced: Iterable[str] = ()
    ):
        super().__init__(model, columns)
        self._unique, self._replaced = self._named(unique), self._named(replaced)

    def rows(self, rows: Sequence[Sequence]) -> None:
        beginning, one_row, end = self._made
        values = [value for row in rows for value in self._values(row)]
        self._execute(f"{beginning} {', '.join([one_row] * len(rows))} {end}", values)

    @cached_property
    def _made(self) -> tuple[str, str, str]:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(field.column) for field in self._fields)
        conflict = ""
        if self._unique:
            replaced, unique = ([field.column for field in fields] for fields in (self._replaced, self._unique))
            conflict = connection.ops.on_conflict_suffix_sql(self._fields, OnConflict.UPDATE, replaced, unique)
        beginning = f"INSERT INTO {quote(self._meta.db_table)} ({columns}) VALUES"
        return beginning, f"({', '.join(['%s'] * len(self._fields))})", conflict


class PreparedUpdate(_PreparedWrite):
    """New values of these columns in one row of a model; `once`: only while the first of them is null.

    submitted = PreparedUpdate(Exposure, ["comment", "submitted_at"])
    submitted.row(exposure.pk, "Clear.", timezone.now())
    """

    def __init__(self, model: type[Model], columns: Iterable[str], once: bool = False):
        super().__init__(model, columns)
        self._once = once

    def row(self, pk: int, *values: Any) -> None:
        self._execute(self._made, [*self._values(values), pk])

    @cached_property
    def _made(self) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(f"{quote(field.column)} = %s" for field in self._fields)
        where = f"{quote(self._meta.pk.column)} = %s"
        if self._once:
            where += f" AND {quote(self._fields[0].column)} IS NULL"
        return f"UPDATE {quote(self._meta.db_table)} SET {columns} WHERE {where}"


def _paths(column: str) -> list[str]:
    """`version` and `version__study`, of `version__study__slug`."""
    steps = column.split("__")[:-1]
    return ["__".join(steps[: end + 1]) for end in range(len(steps))]


def _assembly(model: type[Model], places: dict[str, int]) -> Callable[[tuple], Model | None]:
    """Makes an object of a row, with the objects it points to; none of a row in which it is missing."""
    meta: Any = model._meta
    own = {
        meta.pk.attname if name == "pk" else meta.get_field(name).attname: name for name in places if "__" not in name
    }
    names = [field.attname for field in meta.concrete_fields if field.attname in own]
    values = [places[own[name]] for name in names]
    related = {
        name: _assembly(
            meta.get_field(name).related_model,
            {rest.partition("__")[2]: place for rest, place in places.items() if rest.startswith(f"{name}__")},
        )
        for name in {name.partition("__")[0] for name in places if "__" in name}
    }

    def assemble(row: tuple) -> Model | None:
        if row[places["pk"]] is None:
            return None
        instance = model.from_db(connection.alias, names, [row[place] for place in values])
        for name, part in related.items():
            setattr(instance, name, part(row))
        return instance

    return assemble


def _converted(row: tuple, converters: list) -> tuple:
    """The row as Python has it: dates are text in SQLite."""
    values = list(row)
    for place, (steps, column) in converters:
        for step in steps:
            values[place] = step(values[place], column, connection)
    return tuple(values)
