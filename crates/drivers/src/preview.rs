//! What a driver can say about a change without asking its tool. Pure.

use podium_model::kinds::{DriverKind, ModuleContent};
use podium_model::plan::Fidelity;
use podium_model::value::Value;

/// What a change would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How sure it is.
    pub fidelity: Fidelity,
    /// Whether the resource is removed and made anew instead of changed.
    pub replace: bool,
}

/// How sure the previews of a kind of module are.
pub fn fidelity(kind: DriverKind) -> Fidelity {
    match kind {
        DriverKind::Script => Fidelity::InputsOnly,
        DriverKind::Template | DriverKind::Workload | DriverKind::Volume => Fidelity::Exact,
    }
}

/// Previews the change of a live resource from `previous` to `inputs`.
///
/// An input that replaces the resource does so when its value changes, also when it comes or goes. One that is not
/// known yet counts as changed: a replacement that is announced and does not happen harms nobody, the other way round
/// it does.
pub fn preview(content: &ModuleContent, previous: &Value, inputs: &Value) -> Preview {
    let replace = content.replace_on.iter().any(|path| {
        let path: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        match (previous.at(&path), inputs.at(&path)) {
            (None, None) => false,
            (Some(before), Some(after)) => before != after || !after.is_known(),
            _ => true,
        }
    });
    let fidelity = if inputs.is_known() {
        fidelity(content.driver)
    } else {
        Fidelity::Pending
    };
    Preview { fidelity, replace }
}

#[cfg(test)]
mod tests {
    use podium_model::coordinate::Coordinate;
    use podium_model::kinds::DriverKind;
    use podium_model::plan::Fidelity;
    use podium_model::value::{Handle, Reference, Source, Value};
    use serde_json::json;

    use super::{Preview, preview};
    use crate::testing::content;

    #[test]
    fn only_the_named_inputs_replace() {
        let mut content = content(DriverKind::Script);
        content.replace_on = vec!["engine.version".into(), "zone".into()];
        let value = |json| Value::from_json(&json);
        let before = value(json!({"engine": {"version": "15"}, "size": 1}));
        let replaces = |after| preview(&content, &before, &value(after)).replace;
        assert!(!replaces(json!({"engine": {"version": "15"}, "size": 2})));
        assert!(replaces(json!({"engine": {"version": "16"}, "size": 1})));
        assert!(replaces(json!({"engine": {"version": 15}, "size": 1})));
        assert!(replaces(
            json!({"engine": {"version": "15"}, "size": 1, "zone": "b"})
        ));
        assert!(replaces(json!({"size": 1})));
    }

    #[test]
    fn what_is_not_known_is_pending_and_may_replace() {
        let mut content = content(DriverKind::Template);
        content.replace_on = vec!["host".into()];
        let known = Value::Map([("host".to_owned(), Value::from("a"))].into());
        let reference = Reference {
            node: Coordinate::workload("x"),
            source: Source::Declared,
            path: vec!["host".into()],
        };
        let unknown = Value::Map([("host".to_owned(), Value::Reference(reference))].into());
        assert_eq!(
            preview(&content, &known, &unknown),
            Preview {
                fidelity: Fidelity::Pending,
                replace: true
            }
        );
        assert_eq!(
            preview(&content, &known, &known),
            Preview {
                fidelity: Fidelity::Exact,
                replace: false
            }
        );
        let rotated = Value::Map([("host".to_owned(), Value::Sensitive(Handle::new("00")))].into());
        assert!(
            preview(&content, &known, &rotated).replace,
            "secrets are compared by their handles"
        );
    }
}
