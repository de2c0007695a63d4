"""The book's values and curves as data."""

import pytest

from rmsprop.book import claims as module
from rmsprop.book.claims import CHAPTER, PRIMARY, SECTIONS, claims, primary
from rmsprop.book.programs import PROGRAMS, TRACES, program
from rmsprop.errors import UserError


def test_section_7_6_has_every_edition_with_both_programs_and_quantities():
    training = [c for c in claims().printed if c.quantity in ("loss", "sec_per_epoch")]
    assert len(training) == 13 * 4
    assert len({(c.edition, c.framework, c.program, c.quantity) for c in training}) == 13 * 4


def test_the_chapter_is_all_sections_together():
    chapter = claims(CHAPTER)
    sections = [claims(section) for section in SECTIONS]
    assert sorted(map(str, chapter.printed)) == sorted(str(c) for s in sections for c in s.printed)
    assert sum(len(s.curves) for s in sections) == len(chapter.curves) == 17
    assert chapter.programs == PROGRAMS
    assert chapter.traces == TRACES


def test_the_primary_values_are_the_pages():
    assert primary("rmsprop-scratch", "loss").printed == "0.243452"
    assert primary("rmsprop-scratch", "sec_per_epoch").printed == "0.049984"
    assert primary("rmsprop-concise", "loss").printed == "0.243676"
    assert primary("adam-concise", "loss").printed == "0.242066"


def test_the_programs_of_the_section_differ_in_eps_and_its_place():
    scratch, concise = PROGRAMS["rmsprop-scratch"], PROGRAMS["rmsprop-concise"]
    assert scratch.words == "lr 0.01, gamma 0.9, eps 1e-06 inside the root, batch 10, 2 epochs"
    assert concise.words == "lr 0.01, alpha 0.9, eps 1e-08 outside the root, batch 10, 2 epochs"


def test_each_claim_is_of_a_known_program_and_names_its_source():
    for claim in claims(CHAPTER).printed:
        section = (PROGRAMS | TRACES)[claim.program].section
        assert claim.edition.startswith("d2l") or section in claim.source
        assert claim.source.endswith(".md") == (claim.edition == PRIMARY)


def test_each_training_of_the_chapter_has_a_loss_in_docs_notebook_and_gluon_and_a_curve():
    chapter = claims(CHAPTER)
    for name in PROGRAMS:
        printed = [c for c in chapter.printed if c.program == name and c.quantity == "loss"]
        assert [c.edition for c in printed][:3] == ["docs", "notebook", "d2l-zh 1.0.0"]
        assert any(curve.program == name for curve in chapter.curves)


def test_what_other_packages_ran_otherwise_is_said():
    printed = claims(CHAPTER).printed
    concise = {c.edition for c in printed if c.program.endswith("-concise") and c.same_program}
    assert concise == {PRIMARY, "notebook"}
    assert all(c.same_program for c in printed if c.program.endswith("-scratch"))
    assert {c.edition for c in printed if c.timed_alike} == {PRIMARY, "notebook", "d2l-zh 1.0.0"}


def test_a_run_that_two_editions_print_is_known_as_one():
    """The notebook shows the docs' output of every concise loop, to the microsecond."""
    repeated = {c.program for c in claims(CHAPTER).printed if c.repeated}
    assert repeated == {name for name in PROGRAMS if name.endswith("-concise")}


def test_each_curve_ends_in_the_loss_printed_below_it():
    for curve in claims(CHAPTER).curves:
        assert curve.losses[-1] == pytest.approx(float(curve.printed_loss), abs=curve.precision)
        editions = curve.edition.split(" and ")
        printed = {c.printed for c in claims(CHAPTER).printed if c.program == curve.program
                   and c.quantity == "loss" and c.edition in editions}  # fmt: skip
        assert printed == {curve.printed_loss}
        program = PROGRAMS[curve.program]
        every = 1 if program.batch_size == 1500 else 15
        assert len(curve.losses) == program.num_epochs * every + 1


@pytest.mark.parametrize("name", ["printed.csv", "curves.csv"])
def test_a_table_that_was_changed_is_refused_by_its_checksum(name, tmp_path, monkeypatch):
    source = module.Path(module.__file__).parent / name
    (tmp_path / name).write_text(source.read_text().replace("0.243452", "0.243453", 1))
    with pytest.raises(UserError, match=rf"{name} of rmsprop/book was changed: SHA-256 .* expected"):
        module._read(name, tmp_path)
    (tmp_path / name).write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert module._read(name, tmp_path) == module._read(name)


def test_an_unknown_section_lists_the_known_ones():
    with pytest.raises(UserError, match=r"7\.2, 7\.3, 7\.4, 7\.5, 7\.6, 7\.7, 7\.8, or --chapter"):
        claims("7.9")


def test_an_unknown_program_lists_the_known_ones():
    with pytest.raises(
        UserError, match=r"program .lion.: choose one of sgd-scratch-batch-1500, .*, adam-concise"
    ):
        program("lion")
