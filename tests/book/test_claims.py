"""The book's values as data."""

from rmsprop.book.claims import PRIMARY, claims, primary


def test_every_edition_of_the_table_is_there_with_both_programs_and_quantities():
    training = [c for c in claims() if c.program in ("scratch", "concise")]
    assert len(training) == 13 * 4
    assert len({(c.edition, c.framework, c.program, c.quantity) for c in training}) == 13 * 4


def test_the_primary_values_are_the_pages():
    assert primary("scratch", "loss").printed == "0.243452"
    assert primary("scratch", "sec_per_epoch").printed == "0.049984"
    assert primary("concise", "loss").printed == "0.243676"
    assert primary("concise", "sec_per_epoch").printed == "0.043637"


def test_the_programs_differ_in_eps_and_its_place():
    scratch, concise = (primary(p, "loss").hyperparameters for p in ("scratch", "concise"))
    assert (scratch.eps, scratch.eps_place) == (1e-6, "inside")
    assert (concise.eps, concise.eps_place) == (1e-8, "outside")
    assert (scratch.lr, scratch.decay, scratch.batch_size, scratch.num_epochs) == (0.01, 0.9, 10, 2)


def test_each_claim_names_its_source():
    assert all("7.6_rmsprop" in c.source or "rmsprop" in c.source or "adagrad" in c.source for c in claims())
    assert all(c.source.endswith(".md") for c in claims() if c.edition == PRIMARY)


def test_what_other_packages_ran_otherwise_is_said():
    concise = {c.edition for c in claims() if c.program == "concise" and c.same_program}
    assert concise == {PRIMARY, "notebook"}
    assert all(c.same_program for c in claims() if c.program == "scratch")
    assert {c.edition for c in claims() if c.timed_alike} == {PRIMARY, "notebook", "d2l-zh 1.0.0"}
