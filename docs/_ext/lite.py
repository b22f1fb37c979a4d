"""The notebooks in the browser: a JupyterLite below html/lite, if jupyterlite-core is installed."""


def setup(app):
    """Nothing yet."""
    return {"parallel_read_safe": True, "parallel_write_safe": True}
