from rmsprop.book.claims import claims
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.figures.reproduction import verdicts_on
from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.verdicts.reproduction import judge


def test_a_record_is_judged_once_and_keeps_its_verdicts(make_record):
    one = judge(make_record())
    assert one == judge(make_record())
    assert len(one.verdicts) == len(claims().printed)


def test_the_primary_editions_verdict_is_the_first(make_record):
    one = judge(make_record())
    for program in ("rmsprop-scratch", "rmsprop-concise"):
        for quantity in ("loss", "sec_per_epoch"):
            assert verdicts_on(one, program, quantity)[0].claim.edition == "docs"


def test_a_record_is_summed_up_in_words(make_record, interrupted):
    records = [make_record(), make_record(mean=0.3), make_record(seeds=100), interrupted]
    judged = [judge(record) for record in records]
    assert [one.verdict for one in judged[:2]] == [
        "2 reproduced, 2 consistent",
        "2 reproduced, 2 not consistent",
    ]
    assert judged[3].verdict == "2 reproduced, 2 not run; interrupted"
    assert [one.decides for one in judged] == [True, True, True, False]
    assert [one.holds for one in judged] == [True, False, True, False]


def test_records_are_read_the_oldest_first(tmp_path, make_record, make_environment):
    for day in (2, 1, 3):
        made = make_environment(started=f"2026-01-0{day}T00:00:00+00:00")
        write_reproduction(tmp_path, make_record(environment=made))
    days = [one.record.environment.started[:10] for one in read_inputs(tmp_path).reproductions]
    assert days == ["2026-01-01", "2026-01-02", "2026-01-03"]
