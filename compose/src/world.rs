//! Detection of worlds that make wac-graph panic: those that pass resource handles outside of
//! interfaces (bytecodealliance/wac, issues 55, 99 and others).

use wac_graph::types::{DefinedType, ItemKind, Type, Types, ValueType, WorldId};

/// Returns the first import of `world` that wac-graph cannot encode.
pub(crate) fn find_unencodable_import(types: &Types, world: WorldId) -> Option<String> {
    let imports = &types[world].imports;
    imports
        .iter()
        .find(|(_, kind)| match kind {
            ItemKind::Func(id) => {
                let function = &types[*id];
                let values = function.params.values().copied().chain(function.result);
                contains_type(types, values.collect(), |ty| {
                    matches!(ty, ValueType::Borrow(_))
                })
            }
            ItemKind::Type(Type::Value(ty)) => contains_type(types, vec![*ty], |ty| {
                matches!(ty, ValueType::Borrow(_) | ValueType::Own(_))
            }),
            ItemKind::Type(_)
            | ItemKind::Instance(_)
            | ItemKind::Component(_)
            | ItemKind::Module(_)
            | ItemKind::Value(_) => false,
        })
        .map(|(name, _)| name.clone())
}

/// Whether any type in `todo`, or a type nested in one of them, is `wanted`.
fn contains_type(
    types: &Types,
    mut todo: Vec<ValueType>,
    wanted: impl Fn(ValueType) -> bool,
) -> bool {
    while let Some(ty) = todo.pop() {
        if wanted(ty) {
            return true;
        }
        let ValueType::Defined(id) = ty else {
            continue;
        };
        match &types[id] {
            DefinedType::Tuple(items) => todo.extend(items),
            DefinedType::List(item)
            | DefinedType::FixedSizeList(item, _)
            | DefinedType::Option(item)
            | DefinedType::Alias(item) => todo.push(*item),
            DefinedType::Map(key, value) => todo.extend([*key, *value]),
            DefinedType::Result { ok, err } => todo.extend(ok.iter().chain(err)),
            DefinedType::Variant(variant) => todo.extend(variant.cases.values().flatten()),
            DefinedType::Record(record) => todo.extend(record.fields.values()),
            DefinedType::Stream(item) | DefinedType::Future(item) => todo.extend(item),
            DefinedType::Flags(_) | DefinedType::Enum(_) => {}
        }
    }
    false
}
