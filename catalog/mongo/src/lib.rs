//! The catalog's store on MongoDB.
