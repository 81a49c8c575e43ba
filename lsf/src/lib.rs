//! LSF.
