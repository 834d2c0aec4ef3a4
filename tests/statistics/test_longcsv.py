"""CSV files as researchers have them, and the ones that must be refused line by line."""

import io
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.longcsv import LongCsvError, read_long_csv, report_from_csv

HEADER = "participant_id,item_id,arm,criterion,rating\n"
ROWS = "p1,i1,a,empathy,7\np1,i2,b,empathy,8\np2,i1,b,empathy,9\n"


@pytest.fixture
def read(tmp_path):
    """Writes a file called ratings.csv, reads it on a scale of 1 to 10, and shows faults without the folder."""

    def read(content, scale=(1, 10)):
        file = tmp_path / "ratings.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_long_csv(file, scale)

    return read


@pytest.fixture
def faults(read, tmp_path):
    def faults(content, scale=(1, 10)):
        with pytest.raises(LongCsvError) as refused:
            read(content, scale)
        return [fault.removeprefix(f"{tmp_path}/") for fault in refused.value.faults]

    return faults


def rows(table):
    names = ("participant_id", "item_id", "arm", "criterion")
    columns = [[table.labels[name][code] for code in table.codes[name]] for name in names]
    return list(zip(*columns, table.ratings.tolist(), strict=True))


class TestWhatIsUnderstood:
    def test_the_plain_form(self, read):
        assert rows(read(HEADER + ROWS)) == [
            ("p1", "i1", "a", "empathy", 7),
            ("p1", "i2", "b", "empathy", 8),
            ("p2", "i1", "b", "empathy", 9),
        ]

    def test_columns_in_any_order_among_others(self, read):
        table = read('note,rating,arm,item_id,criterion,participant_id\n"a, b",7,a,i1,empathy,p1\n')

        assert rows(table) == [("p1", "i1", "a", "empathy", 7)]

    def test_an_empty_rating_is_missing(self, read):
        ratings = read(HEADER + "p1,i1,a,empathy,\np1,i1,a,empathy,  \np1,i1,a,empathy,4\n").ratings

        assert np.isnan(ratings).tolist() == [True, True, False]

    @pytest.mark.parametrize("written", ["7", " 7 ", "7.0", "7.", "07", '"7"'])
    def test_ways_to_write_seven(self, read, written):
        assert read(HEADER + f"p1,i1,a,empathy,{written}\n").ratings.tolist() == [7]

    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_other_delimiters(self, read, delimiter):
        assert len(read((HEADER + ROWS).replace(",", delimiter))) == 3

    def test_a_decimal_comma_between_semicolons(self, read):
        assert read((HEADER + ROWS).replace(",", ";").replace("7", "7,0")).ratings.tolist() == [7, 8, 9]

    def test_a_byte_order_mark(self, read):
        assert len(read(b"\xef\xbb\xbf" + (HEADER + ROWS).encode())) == 3

    def test_utf_16_from_a_spreadsheet(self, read):
        assert len(read((HEADER + ROWS).replace(",", "\t").encode("utf-16"))) == 3

    @pytest.mark.parametrize("newline", ["\r\n", "\r"])
    def test_other_line_ends(self, read, newline):
        assert len(read((HEADER + ROWS).replace("\n", newline))) == 3

    def test_blank_lines_and_lines_of_bare_commas(self, read):
        assert len(read("\n" + HEADER + "\n" + ROWS + ",,,,\n\n")) == 3

    def test_no_line_end_at_the_end(self, read):
        assert len(read((HEADER + ROWS).rstrip())) == 3

    def test_line_breaks_inside_a_cell(self, read):
        assert rows(read(HEADER + '"p\n1",i1,a,empathy,7\n'))[0][0] == "p\n1"

    def test_space_around_a_name_does_not_make_another_arm(self, read):
        assert read(HEADER + "p1,i1,a,empathy,7\np1,i1,a ,empathy,7\n").labels["arm"] == ("a",)

    def test_letters_beyond_ascii(self, read):
        assert read(HEADER + "p1,i1,größe,共感,7\n").labels["criterion"] == ("共感",)

    def test_windows_1252_with_a_warning_that_names_the_line(self, read):
        table = read((HEADER + "p1,i1,a,empathy,7\np1,i1,größe,empathy,7\n").encode("cp1252"))

        assert table.labels["arm"] == ("a", "größe")
        (warning,) = table.warnings
        assert "ratings.csv:3: not UTF-8" in warning

    def test_the_same_row_twice_is_two_ratings(self, read):
        assert len(read(HEADER + ROWS + ROWS)) == 6

    def test_an_open_upload(self):
        upload = io.BytesIO((HEADER + ROWS).encode())

        assert len(read_long_csv(upload, (1, 10))) == 3
        assert not upload.closed


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("rating", "message"),
        [
            ("0", "rating '0' is outside the scale 1 to 10"),
            ("11", "rating '11' is outside the scale 1 to 10"),
            ("-1", "rating '-1' is outside the scale 1 to 10"),
            ("7.5", "rating '7.5' is not a whole number on the scale 1 to 10"),
            ("1e1", "rating '1e1' is not a whole number on the scale 1 to 10"),
            ("good", "rating 'good' is not a number"),
            ("٧", "rating '٧' is not a number"),
            ("inf", "rating 'inf' is not a number"),
            ("NA", "rating 'NA' is not a number; leave the cell empty where a rating is missing"),
            ('"1,000"', "rating '1,000' is written with thousands separators; write digits only"),
            ("x" * 99, f"rating '{'x' * 37}...' is not a number"),
            ("9" * 99, f"rating '{'9' * 37}...' is not a whole number on the scale 1 to 10"),
        ],
    )
    def test_a_rating_off_the_scale(self, faults, rating, message):
        assert faults(HEADER + ROWS + f"p1,i1,a,empathy,{rating}\n") == [f"ratings.csv:5: {message}"]

    def test_every_bad_row_is_listed_by_its_line(self, faults):
        content = HEADER + "p1,i1,a,empathy,0\n\n" + ROWS + ",i1,a,empathy,11\np1,i1,a\np1,i1,a,empathy,7,5\n"

        assert faults(content) == [
            "ratings.csv:2: rating '0' is outside the scale 1 to 10",
            "ratings.csv:7: participant_id is empty",
            "ratings.csv:7: rating '11' is outside the scale 1 to 10",
            "ratings.csv:8: the row has 3 cells, the header 5; is a comma or a quote out of place?",
            "ratings.csv:9: the row has 6 cells, the header 5; is a comma or a quote out of place?",
        ]

    def test_lines_are_right_after_a_cell_with_line_breaks(self, faults):
        content = HEADER + '"p\n\n1",i1,a,empathy,7\np1,i1,a,empathy,0\n'

        assert faults(content) == ["ratings.csv:5: rating '0' is outside the scale 1 to 10"]

    def test_lines_are_right_far_down(self, faults):
        assert faults(HEADER + ROWS * 1000 + "p1,i1,a,empathy,0\n")[0].startswith("ratings.csv:3002:")

    def test_no_more_than_fifty_faults_are_printed(self, read):
        with pytest.raises(LongCsvError) as refused:
            read(HEADER + "p1,i1,a,empathy,0\n" * 1234)

        assert len(refused.value.faults) == 50
        assert refused.value.total == 1234
        assert str(refused.value).endswith("\nand 1184 more")

    def test_missing_columns_with_what_may_have_been_meant(self, faults):
        assert faults("Participant,item,arm,criterion,score\np1,i1,a,empathy,7\n") == [
            "ratings.csv:1: the column participant_id is missing; did you mean 'Participant'?",
            "ratings.csv:1: the column item_id is missing; did you mean 'item'?",
            "ratings.csv:1: the column rating is missing; the header has Participant, item, arm, criterion, score",
        ]

    def test_a_column_that_occurs_twice(self, faults):
        assert faults(HEADER.replace("\n", ",rating\n")) == ["ratings.csv:1: the column rating occurs 2 times"]

    def test_an_empty_file(self, faults):
        assert faults("") == ["ratings.csv:1: the file is empty"]

    def test_a_header_alone(self, faults):
        assert faults(HEADER) == ["ratings.csv:1: there are no ratings below the header"]

    def test_a_quote_that_is_never_closed(self, faults):
        first, last = faults(HEADER + "p1,i1,a,empathy,0\n" + '"p1,i1,a,empathy,7\n' * 3)

        assert first == "ratings.csv:2: rating '0' is outside the scale 1 to 10"
        assert "quoting" in last

    def test_a_cell_of_a_megabyte(self, faults):
        (fault,) = faults(HEADER + "p" * 1_000_000 + ",i1,a,empathy,7\n")

        assert fault.startswith("ratings.csv:2: a cell's quoting or length is broken")

    def test_nul_bytes(self, faults):
        assert faults(HEADER + "p\0,i1,a,empathy,7\n") == [
            "ratings.csv:2: participant_id 'p\\x00' contains a NUL character"
        ]

    def test_bytes_that_are_no_text(self, faults):
        assert faults(HEADER.encode() + b"p1,i1,\x81\xff,empathy,7\n") == [
            "ratings.csv:2: neither UTF-8 nor Windows-1252 text; save the file as CSV (UTF-8)"
        ]

    def test_broken_utf_16(self, faults):
        (fault,) = faults(b"\xff\xfe" + HEADER.encode("utf-16-le") + b"\x00\xd8\x00")

        assert "UTF-16 text is broken" in fault

    def test_a_spreadsheet_file(self, faults):
        assert "save it as CSV" in faults(b"PK\x03\x04 and so on")[0]

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(LongCsvError, match=r"none\.csv: cannot be read: No such file"):
            read_long_csv(tmp_path / "none.csv", (1, 10))

    def test_a_folder(self, tmp_path):
        with pytest.raises(LongCsvError, match="cannot be read"):
            read_long_csv(tmp_path, (1, 10))

    def test_a_column_that_cannot_be_arms(self, faults):
        assert faults(HEADER + "".join(f"p1,i1,{k},empathy,7\n" for k in range(51))) == [
            "ratings.csv:1: the column arm has 51 different values, at most 50 can be reported"
        ]

    @pytest.mark.parametrize("scale", [(10, 1), (5, 5), (0, 10**9)])
    def test_a_scale_that_is_none(self, faults, scale):
        assert "scale" in faults(HEADER + ROWS, scale)[0]

    @given(st.binary(max_size=300))
    def test_no_bytes_make_it_stumble(self, content):
        for start in (b"", HEADER.encode(), b"\xff\xfe"):
            with suppress(LongCsvError):
                assert len(read_long_csv(io.BytesIO(start + content), (1, 10))) > 0


class TestReport:
    def test_it_is_the_report_of_the_rows(self, tmp_path):
        file = tmp_path / "ratings.csv"
        lines = [
            f"p{p},i{i},{arm},{c},{(3 * p + 5 * i + len(c)) % 9 + (arm == 'b') + 1}"
            for p in range(9) for i in range(8) for arm in "ab" for c in ("warm", "clear")
        ]  # fmt: skip
        file.write_text(HEADER + "\n".join(lines))
        report = report_from_csv(file, (1, 10))

        assert (report["schema"], report["level"], report["warnings"]) == (1, 0.95, [])
        assert list(report["criteria"]) == ["clear", "warm"]
        assert report["criteria"]["warm"]["contrasts"][0]["difference"] == pytest.approx(1)
        json.dumps(report, allow_nan=False)

    def test_the_order_of_lines_changes_nothing(self, tmp_path):
        one, other = tmp_path / "one.csv", tmp_path / "other.csv"
        lines = ROWS.splitlines()
        one.write_text(HEADER + "\n".join(lines))
        other.write_text(HEADER + "\n".join(reversed(lines)))

        assert report_from_csv(one, (1, 10)) == report_from_csv(other, (1, 10))

    def test_warnings_of_the_file_come_first(self, tmp_path):
        file = tmp_path / "ratings.csv"
        file.write_bytes((HEADER + "p1,i1,größe,empathy,7\n").encode("cp1252"))

        assert "Windows-1252" in report_from_csv(file, (1, 10))["warnings"][0]
