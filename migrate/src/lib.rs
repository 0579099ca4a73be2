//! Database migrations, once across a fleet. Nothing here yet: it arrives with the runner itself.
