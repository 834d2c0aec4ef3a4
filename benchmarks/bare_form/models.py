from django.db import models


class Assignment(models.Model):
    visit = models.IntegerField()
    position = models.IntegerField()
    done = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["visit", "position"], name="bare_one_assignment_a_position")]

    def __str__(self) -> str:
        return f"{self.visit}/{self.position}"


class Rating(models.Model):
    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="ratings")
    criterion = models.CharField(max_length=40)
    value = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["assignment", "criterion"], name="bare_one_rating_a_criterion")]

    def __str__(self) -> str:
        return f"{self.criterion} {self.value}"
