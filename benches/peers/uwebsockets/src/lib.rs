//! Nothing: this package exists for the sources that it brings along; see `server.cpp`.
