//! What holds for every answer, whatever was asked.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::client::Response;

/// The codes of the specification's table.
const OCI: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// The codes that Distribution has beside them, which its clients know.
const DISTRIBUTION: [&str; 6] =
    ["MANIFEST_UNVERIFIED", "PAGINATION_NUMBER_INVALID", "RANGE_INVALID", "TAG_INVALID", "UNAVAILABLE", "UNKNOWN"];

/// How many bytes all warnings of one answer may have.
const MAX_WARNINGS: usize = 4096;

/// Says what is wrong with an answer, if anything is that is wrong in every answer.
pub(crate) fn check(response: &Response) -> Result<(), String> {
    if response.status >= 500 {
        return Err("the registry failed".to_owned());
    }
    check_warnings(response.headers.get_all("warning").iter().map(http::HeaderValue::as_bytes))?;
    check_error(response)
}

/// The specification's "Error Codes": JSON in an error has one form.
fn check_error(response: &Response) -> Result<(), String> {
    if response.status < 400 || response.body.is_empty() || response.media_type() != Some("application/json") {
        return Ok(());
    }
    let json: Value = serde_json::from_slice(&response.body).map_err(|error| format!("an error's JSON: {error}"))?;
    let errors = json.get("errors").and_then(Value::as_array).ok_or("an error without the list `errors`")?;
    if errors.is_empty() {
        return Err("an error with an empty list `errors`".to_owned());
    }
    for error in errors {
        let code = error.get("code").and_then(Value::as_str).ok_or("an error without a `code`")?;
        if !OCI.contains(&code) && !DISTRIBUTION.contains(&code) {
            return Err(format!("the error code {code:?}, which nobody knows"));
        }
        if error.get("message").is_some_and(|message| !message.is_string()) {
            return Err("an error whose `message` is no string".to_owned());
        }
    }
    Ok(())
}

/// The specification's "Warnings".
fn check_warnings<'a>(warnings: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
    let mut bytes = 0;
    for warning in warnings {
        bytes += warning.len();
        let text = std::str::from_utf8(warning).map_err(|error| format!("Warning: {error}"))?;
        let quoted = text.strip_prefix("299 - \"").and_then(|rest| rest.strip_suffix('"'));
        let Some(quoted) = quoted else {
            return Err(format!("Warning: {text} is not 299 - \"...\" without a date"));
        };
        // A date would stand in quotes of its own.
        if quoted.replace("\\\\", "").replace("\\\"", "").contains('"') {
            return Err(format!("Warning: {text} has something behind its text"));
        }
    }
    if bytes > MAX_WARNINGS {
        return Err(format!("{bytes} bytes of warnings, and {MAX_WARNINGS} are allowed"));
    }
    Ok(())
}

/// Tests that these checks see what is wrong: no registry would show it.
pub(crate) fn trials() -> Vec<Trial> {
    fn warned(name: &str, warnings: &[&str], wrong: bool) -> Trial {
        let warnings: Vec<String> = warnings.iter().map(|&warning| warning.to_owned()).collect();
        Trial::test(format!("checks::{name}"), move || {
            let outcome = check_warnings(warnings.iter().map(|warning| warning.as_bytes()));
            if outcome.is_err() == wrong { Ok(()) } else { Err(format!("{warnings:?}: {outcome:?}").into()) }
        })
    }
    fn error(name: &str, body: &'static str, wrong: bool) -> Trial {
        Trial::test(format!("checks::{name}"), move || {
            let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))];
            let response = Response {
                what: "GET /v2/".to_owned(),
                status: 404,
                headers: headers.into_iter().collect(),
                body: body.into(),
            };
            let outcome = check(&response);
            if outcome.is_err() == wrong { Ok(()) } else { Err(format!("{body}: {outcome:?}").into()) }
        })
    }
    let long = || format!("299 - \"{}\"", "x".repeat(2100));
    vec![
        warned("a_right_warning_passes", &["299 - \"It ends \\\"soon\\\".\""], false),
        warned("a_warning_of_another_code_is_seen", &["199 - \"No.\""], true),
        warned("a_warning_with_an_agent_is_seen", &["299 wharf \"No.\""], true),
        warned("a_warning_with_a_date_is_seen", &["299 - \"No.\" \"Wed, 21 Oct 2015 07:28:00 GMT\""], true),
        warned("warnings_of_more_than_4096_bytes_are_seen", &[&long(), &long()], true),
        warned("warnings_of_fewer_than_4096_bytes_pass", &[&long()], false),
        error("a_right_error_passes", r#"{"errors":[{"code":"NAME_UNKNOWN","message":"","detail":{}}]}"#, false),
        error("an_error_with_an_unknown_code_is_seen", r#"{"errors":[{"code":"SORRY"}]}"#, true),
        error("an_error_without_its_list_is_seen", r#"{"code":"NAME_UNKNOWN"}"#, true),
        error("an_error_with_an_empty_list_is_seen", r#"{"errors":[]}"#, true),
        error("an_error_with_a_wrong_message_is_seen", r#"{"errors":[{"code":"DENIED","message":1}]}"#, true),
        error("an_error_with_broken_json_is_seen", r#"{"errors":[{"code":"DENIED""#, true),
    ]
}
