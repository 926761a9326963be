//! What resources offer.

use podium_model::api::OutputsResponse;
use serde_json::Value as Json;

use super::columns::Columns;
use super::text::{Paint, bare_value, harmless};

/// A table of resources, outputs and values.
pub(crate) fn render(response: &OutputsResponse, paint: Paint) -> String {
    let mut columns = Columns::default();
    let mut any = false;
    for resource in &response.resources {
        let id = harmless(&resource.resource.id);
        let kind = harmless(&resource.resource.type_and_class());
        let Json::Object(outputs) = &resource.outputs else {
            continue;
        };
        for (name, value) in outputs {
            any = true;
            columns.row([id.clone(), kind.clone(), harmless(name), bare_value(value)]);
        }
    }
    if any {
        columns.with_heading(&["resource", "type", "output", "value"], paint)
    } else {
        "no outputs\n".to_owned()
    }
}
