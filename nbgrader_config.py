"""nbgrader's settings for the labs: copy this file to the root of an nbgrader course (see README.md)."""

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions as Generic

from course.build import ClearSolutions

c = get_config()  # noqa: F821  (nbgrader puts it there)

c.CourseDirectory.course_id = "torch-labs"
# The release is then what `python -m course build` puts into notebooks/.
c.GenerateAssignment.preprocessors = [
    ClearSolutions if step is Generic else step for step in GenerateAssignment.preprocessors.default()
]
c.ExecutePreprocessor.timeout = 900  # seconds a cell; nbgrader's own 30 are too short for a training
c.Execute.timeout = 900
