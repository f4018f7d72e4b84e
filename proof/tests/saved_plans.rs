//! The plans in `proof/plans`, which failed once, on every kind of mount.

use std::fs;
use std::path::Path;
use wasi_overlay_proof::{Checks, Kind, Plan, world};

#[test]
fn saved_plans_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut plans = 0;
    for entry in fs::read_dir(folder).expect("the saved plans") {
        let path = entry.expect("a saved plan").path();
        let text = fs::read_to_string(&path).expect("a saved plan");
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for kind in Kind::ALL {
            for tight in [false, true] {
                if let Err(story) = world::check(&plan, kind, Checks::all(tight)) {
                    panic!("{} on {kind:?}, tight: {tight}:\n{story}", path.display());
                }
            }
        }
        plans += 1;
    }
    println!("{plans} saved plans");
    assert!(plans > 0, "no plan was found");
}
