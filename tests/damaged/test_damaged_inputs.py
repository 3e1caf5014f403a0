"""Every damaged delivery is refused or set aside by file, row and column; nothing good is lost."""

import pytest

from retrue import lake
from retrue.errors import RetrueError
from retrue.quarantine import read_quarantine
from tests.damaged import bytes_and_text, places, values
from tests.damaged.conftest import Before
from tests.damaged.faults import Fault
from tests.damaged.plant import NAME

CORPUS = [*bytes_and_text.FAULTS, *values.FAULTS, *places.FAULTS]


@pytest.mark.parametrize("fault", CORPUS, ids=[fault.name for fault in CORPUS])
def test_a_damaged_delivery_does_no_harm(before: Before, fault: Fault) -> None:
    fault.damage(before.plant)
    versions = lake.list_versions(NAME)

    if fault.ends == "refused":
        with pytest.raises(RetrueError) as refusal:
            before.plant.prepare()
        said = str(refusal.value)
        assert said.isprintable(), said  # no line end, no NUL that a terminal swallows
        assert not [word for word in fault.words if word not in said], said
        assert lake.list_versions(NAME) == versions
        assert read_quarantine(NAME).empty
    else:
        prepared = before.plant.prepare()
        faults = read_quarantine(NAME)
        assert (prepared.n_set_aside > 0) == fault.ends.startswith("set aside") == (len(faults) > 0)
        if fault.ends.endswith("as clean"):
            assert prepared.ref.sha256 == versions[-1].sha256
            assert lake.list_versions(NAME) == versions
        else:
            assert prepared.ref.sha256 != before.ref.sha256
        row = " ".join(map(str, faults.iloc[0])) if len(faults) else ""
        assert not [word for word in fault.words if word not in row], row
    assert lake.list_versions(NAME)[0] == before.ref
    assert len(lake.read_version(before.ref, verify=True)) == before.ref.n_rows


def test_the_corpus_has_one_name_a_fault() -> None:
    names = [fault.name for fault in CORPUS]
    assert len(set(names)) == len(names) >= 40
