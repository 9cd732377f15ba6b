//! Checks of the whole project: tidy, conformance, end to end.
