"""Controls above a picture; where widgets do not run, the picture at the first values stands in their place."""

import ipywidgets
from IPython.display import display

from utils import plotting


def explore(draw, **controls) -> None:
    """Show controls above a picture that is drawn anew at each change.

    Args:
        draw: function of the controls' values that returns (figure, alternative text).
        controls: one ipywidgets control for each argument of `draw`.
    """

    def picture() -> str:
        return plotting.to_html(*draw(**{name: control.value for name, control in controls.items()}))

    first = picture()
    image = ipywidgets.HTML(first)

    def redraw(_) -> None:
        image.value = picture()

    for control in controls.values():
        control.observe(redraw, names="value")
    box = ipywidgets.VBox([ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"}), image])
    # One output with two forms: a live notebook takes the widget, any other reader the static picture.
    display(box._repr_mimebundle_() | {"text/html": first, "text/plain": "[interactive figure]"}, raw=True)
