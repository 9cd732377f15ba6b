//! The OpenAPI document of the API, `/api/openapi.json`, from the types of its requests and answers.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schemas that paths refer to.
pub(super) struct Schemas {
    /// Makes schemas of what is read.
    pub(super) requests: SchemaGenerator,
    /// Makes schemas of what is written.
    pub(super) answers: SchemaGenerator,
    added: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            // OpenAPI 3.1 takes JSON Schema 2020-12 as it is.
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
            added: Map::new(),
        }
    }

    /// Adds a schema under a name of its own.
    pub(super) fn add(&mut self, name: &str, schema: Value) {
        self.added.insert(name.to_owned(), schema);
    }

    fn into_map(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        all.extend(self.added);
        all
    }
}

/// Returns a reference to the schema of this name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Returns a response with JSON of this schema.
pub(super) fn with_status(description: &str, schema: Value) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": schema } },
    })
}

/// Makes the document of these paths. What is true of all of them is added to each.
pub(super) fn document(mut paths: Map<String, Value>, schemas: Schemas) -> Value {
    for operation in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in operation.values_mut() {
            let unauthorized = "The key is missing, wrong, or there twice.";
            let too_many = "The address has sent too many wrong keys or requests; see Retry-After.";
            let responses = &mut operation["responses"];
            responses["401"] = with_status(unauthorized, reference("api_failure"));
            responses["429"] = with_status(too_many, reference("api_failure"));
            responses["413"] =
                json!({ "description": "The body is larger than http.body_bytes_max." });
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sockeye, server API",
            "description": "Orders of back ends to the hub, and who is online. Requests and answers of orders are those of Centrifugo's server API.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "field": [] }, { "authorization": [] }, { "query": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "field": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "authorization": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`apikey KEY`",
                },
                "query": { "type": "apiKey", "in": "query", "name": "api_key" },
            },
            "schemas": schemas.into_map(),
        },
    })
}
