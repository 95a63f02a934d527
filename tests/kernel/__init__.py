"""The extension in a real kernel: streams, errors, interrupts, deaths."""
