"""report.html of a search: the choice, and what each step bought, before the sections of any report."""

from collections.abc import Iterator
from pathlib import Path

from edgedistil.measuring.measurements import Measurements
from edgedistil.report.axes import shown
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.page import Section, write_report
from edgedistil.report.plots import Point, scatter
from edgedistil.report.tables import data_table, megabytes, percent, signed, words
from edgedistil.search.choosing import explain_failure
from edgedistil.search.record import Distillation, StudentRecord

__all__ = ["PAGE_FILE", "step_rows", "write_page"]

PAGE_FILE = "report.html"
_BYTES_OF_FLOAT32 = 4


def write_page(record: Distillation, measurements: Measurements, directory: Path) -> None:
    """Writes the page.

    Args:
        record: Result of the search.
        measurements: Measurements of the teacher and of all files on the validation data.
        directory: Directory to write report.html into.
    """
    sections = (
        Section("choice", "The choice", _choice(record)),
        Section("steps", "What each step bought", _steps(record)),
    )
    title = f"Students of {record.teacher.name}"
    write_report(measurements, directory / PAGE_FILE, force=True, title=title, first=sections)


def _choice(record: Distillation) -> Markup:
    found = record.chosen_file
    if found:
        sentence = f"{found.name} is the smallest file within {record.settings.within:g} percentage points of the "
        sentence += f"teacher on the validation data ({percent(record.teacher.accuracy, 2)}) and in the budget of "
        sentence += f"{record.limits}."
    else:
        sentence = explain_failure([file.candidate for file in record.files], record.limits).replace("`", "")
    return joined(
        [
            element("p", sentence),
            _files(record),
            _numbers(record),
            _notes(record),
            element("p", _test(record), class_="note") if record.teacher.test_accuracy is not None else None,
        ]
    )


def _files(record: Distillation) -> Markup | None:
    if not record.files:
        return None
    columns = ("file", "size MB", "p50 ms", "accuracy", "below the teacher", "in the budget", "within")
    limits = record.limits
    rows: list[list[Child]] = [
        [
            joined([file.name, " ", element("span", "chosen", class_="badge") if file.name == record.chosen else None]),
            megabytes(file.size),
            shown(file.ms),
            percent(file.accuracy, 2),
            signed(limits.gap(file.candidate), 2),
            words("yes" if limits.is_in_budget(file.candidate) else "no"),
            words("yes" if limits.is_within(file.candidate) else "no"),
        ]
        for file in record.files
    ]
    return data_table("Files, as the runtime ran them on the validation data", columns, rows)


def _numbers(record: Distillation) -> Markup | None:
    """The numbers of new texts that were tried, if there were several."""
    badge = element("span", "kept", class_="badge")
    rows: list[list[Child]] = [
        [
            joined([student.name, " ", badge if one.augmented_per_text == student.augmented_per_text else None]),
            one.augmented_per_text,
            percent(one.accuracy, 2),
        ]
        for student in record.students
        for one in student.tried
        if len(student.tried) > 1
    ]
    columns = ("student", "new texts", "accuracy")
    return data_table("New texts for each training text, on the validation data", columns, rows) if rows else None


def _notes(record: Distillation) -> Markup | None:
    notes = [
        f"{one.name} was not trained: its layers need at least {megabytes(one.least_bytes)} MB."
        for one in record.skipped
    ]
    notes += [f"{one.name} was refused: {one.reason}" for one in record.refused]
    return element("ul", *(element("li", note) for note in notes), class_="note") if notes else None


def _test(record: Distillation) -> str:
    teacher = percent(record.teacher.test_accuracy or 0.0, 2)
    file = "" if record.test_accuracy is None else f", the chosen file {percent(record.test_accuracy, 2)}"
    return f"On the test data, which had no part in the choice, the teacher has {teacher}{file}."


def _steps(record: Distillation) -> Markup:
    columns = ("step", "size MB", "accuracy", "points")
    rows = [
        [name, megabytes(size) if size else None, percent(accuracy, 2), None if change is None else signed(change, 2)]
        for name, size, accuracy, change in step_rows(record)
    ]
    points = [
        Point(name, i, size / 1e6, accuracy, accuracy, accuracy)
        for i, (name, size, accuracy, _) in enumerate(step_rows(record))
        if size
    ]
    title = "Accuracy against size, step by step"
    figure = scatter(points, None, x_label="size, MB", y_label="accuracy, %", title=title, key="steps-plot")
    return element(
        "div",
        element(
            "div",
            element("figure", element("figcaption", title), figure),
            element(
                "p",
                "Sizes of classifiers are those of their float32 weights, or of a teacher's file. Points: percentage "
                "points of accuracy on the validation data against the step above; the first of each student against "
                "the teacher.",
                class_="note",
            ),
        ),
        data_table("Steps", columns, rows, class_="narrow"),
        class_="side",
    )


def step_rows(record: Distillation) -> Iterator[tuple[str, int | None, float, float | None]]:
    """Steps of a search: name, bytes, accuracy, and its change in percentage points against the step before.

    The first step of each student is compared with the teacher, a file with the classifier that it was converted from.
    The arms of the ablation come before their student and have no size of their own.
    """
    teacher = record.teacher
    yield "teacher", teacher.weight_bytes, teacher.accuracy, None
    chosen = record.chosen_file
    for student in record.students:
        reference = teacher.accuracy
        if chosen and chosen.student == student.name:
            for arm in record.arms:
                yield f"{student.name}, {arm.name}", None, arm.accuracy, 100 * (arm.accuracy - reference)
                reference = arm.accuracy
        size = _BYTES_OF_FLOAT32 * student.parameters
        yield student.name, size, student.accuracy, 100 * (student.accuracy - reference)
        yield from _made_of(record, student)


def _made_of(record: Distillation, student: StudentRecord) -> Iterator[tuple[str, int | None, float, float | None]]:
    pruned = student.pruned
    if pruned:
        change = 100 * (pruned.accuracy - student.accuracy)
        yield f"{student.name}, fewer pieces", _BYTES_OF_FLOAT32 * pruned.parameters, pruned.accuracy, change
    for file in record.files:
        if file.student == student.name:
            source = pruned.accuracy if pruned and file.is_pruned else student.accuracy
            yield file.name.removesuffix(".tflite"), file.size, file.accuracy, 100 * (file.accuracy - source)
