//! Resolution of secret references. Nothing here yet: it arrives with the resolver itself.
