"""A made-up corpus with its recordings, its views, and what they teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.train.made_up import recorded, small_corpus
from train.prepare import Prepared

if TYPE_CHECKING:
    from train.views.school import School
    from train.views.teaching import Lesson


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made-up clips, and their recordings as files."""
    return recorded(small_corpus(), tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="session")
def school(played: Prepared) -> School:
    """Their views, seen and heard."""
    import torch

    from tests.train.small_school import RECIPE, overall
    from train.views.school import found_school

    return found_school(played, RECIPE, overall, torch.device("cpu"), jobs=1)


@pytest.fixture(scope="session")
def lesson(school: School) -> Lesson:
    """What is learnt from them where nobody is left out."""
    from tests.train.small_school import RECIPE
    from train.views.teaching import lesson_for

    return lesson_for(school, RECIPE, None)


@pytest.fixture(scope="session")
def labels(played: Prepared) -> Lesson:
    """What is taught by a recipe that has no teacher."""
    import torch

    from tests.train.small_school import ALONE
    from train.views.school import found_school
    from train.views.teaching import lesson_for

    return lesson_for(found_school(played, ALONE, None, torch.device("cpu"), jobs=1), ALONE, None)
