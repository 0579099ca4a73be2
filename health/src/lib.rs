//! Health endpoints for axum apps and for runmate itself.
