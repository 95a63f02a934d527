"""The extension in IPython in a real terminal."""
