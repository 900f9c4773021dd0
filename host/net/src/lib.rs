//! Effects: capture files and live capture today.
