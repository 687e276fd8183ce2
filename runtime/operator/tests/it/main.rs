//! A program as a user writes it: what it prints, and that it runs.

mod kinds;
mod printed;
mod runs;
