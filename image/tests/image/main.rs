//! Tests of images: what names mean, odd archives and layouts, the store under cuts and on a full disk, and
//! other tools.

mod archives;
mod compression;
mod configs;
mod cuts;
mod downloads;
mod full_disk;
mod gc;
mod interop;
mod layouts;
mod mutations;
mod processes;
mod references;
mod stores;
mod support;
mod transports;
mod verify;
