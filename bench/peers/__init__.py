"""Servers that are written here to be measured against: what another team could build, with the same promises."""
