//! What every operation of the document has in common, added in one place: the parameters of its path, the descriptions
//! of its responses, and the refusals that the server itself has for any request.

use utoipa::{
    Modify,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::ObjectBuilder,
    },
};

/// Completes what the handlers' annotations leave out.
pub(super) struct Complete;

impl Modify for Complete {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let parameters: Vec<_> = path.split('/').filter_map(name).map(parameter).collect();
            for operation in operations(item) {
                let declared = operation.parameters.get_or_insert_default();
                declared.splice(0..0, parameters.iter().cloned().map(RefOr::T));
                describe(operation);
            }
        }
    }
}

/// The name of a parameter, where a segment of a path is one.
fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn parameter(name: &str) -> Parameter {
    let description = match name {
        "agent_id" => "The agent: 1 to 200 bytes, without control characters and `/`.",
        "id" => "The id of a breakpoint, as it was created with.",
        _ => "",
    };
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put].into_iter().flatten()
}

fn describe(operation: &mut Operation) {
    let error = |description: &str| {
        let schema = || ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        let response = ResponseBuilder::new().description(description);
        let response = response.content("application/json", schema()).content("application/problem+json", schema());
        RefOr::T(response.build())
    };
    let responses = &mut operation.responses.responses;
    responses.insert("4XX".into(), error("The request is refused; `reason` says why."));
    responses.insert("503".into(), error("The server is shutting down, or has no connection to spare."));
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = if status == "200" { "It is done." } else { "It is not done." }.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;

    use super::*;

    #[test]
    fn every_parameter_of_a_path_is_declared_and_every_response_described() {
        let mut document = super::super::Document::openapi();
        let mut count = 0;
        for (path, item) in &mut document.paths.paths {
            let named: Vec<_> = path.split('/').filter_map(name).map(str::to_owned).collect();
            for operation in operations(item) {
                let declared = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                    RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => Some(parameter.name.clone()),
                    _ => None,
                });
                assert_eq!(declared.collect::<Vec<_>>(), named, "{path}");
                let described = |response: &RefOr<_>| match response {
                    RefOr::T(utoipa::openapi::Response { description, .. }) => !description.is_empty(),
                    RefOr::Ref(_) => true,
                };
                assert!(operation.responses.responses.values().all(described), "{path}");
                count += 1;
            }
        }
        assert!(count > 15, "{count}");
    }
}
