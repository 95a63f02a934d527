"""The toolbox, `mpmagic.mp`: its processes and pools, and what of them loops can use."""
