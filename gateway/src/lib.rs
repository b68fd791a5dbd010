//! vidstream-gateway
