//! Puts a compressed tar into a store, and says how long it took.
//!
//! ```sh
//! cargo run --release -p wasi-overlay-image --example store_layer -- FILE.tar.gz STORE
//! ```

use std::time::Instant;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Store, Transport};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [file, store] = arguments.as_slice() else {
        return Err("expected FILE STORE".into());
    };
    let store = Store::at(store)?;
    let transport = Transport::parse(file)?;
    for run in ["first", "second"] {
        let start = Instant::now();
        let layers = transport.lowers(Some(&store), &Choice::default(), &Limits::default())?;
        let took = start.elapsed();
        println!("{run} run: {} layers in {took:.3?}", layers.len());
    }
    Ok(())
}
