//! vidstream-transcoder
