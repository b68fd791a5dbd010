//! vidstream-mesh
