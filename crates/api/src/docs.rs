//! `/docs`: the description as a page for people. Needs nothing from elsewhere.

use std::{fmt::Write, sync::OnceLock};

use axum::response::Html;
use serde_json::Value;

use crate::openapi::openapi_json;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>Hookwright API</title>\
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}code,pre{font:13px/1.5 ui-monospace,monospace}\
details{border-top:1px solid #ddd;padding:.4rem 0}summary{cursor:pointer}\
.m{display:inline-block;width:4.5em;font-weight:600}table{border-collapse:collapse;margin:.5rem 0}\
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}\
.q{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}\
details{border-color:#333}a{color:#8ab4f8}}</style>";

/// `GET /docs`.
pub(crate) async fn page() -> Html<&'static str> {
    static PAGE: OnceLock<String> = OnceLock::new();
    Html(PAGE.get_or_init(|| {
        let api = serde_json::from_str(&openapi_json()).expect("our own description is JSON");
        render(&api).expect("a String takes all that is written to it")
    }))
}

fn render(api: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::from(HEAD);
    write!(
        out,
        "<h1>{}</h1><p>{} Machine-readable: <a href=/api/v1/openapi.json>openapi.json</a>.</p>\
         <p>Send <code>Authorization: Bearer &lt;token&gt;</code>; <code>hookwright token</code> \
         makes one.</p>",
        escape(text(&api["info"]["title"])),
        escape(text(&api["info"]["description"])),
    )?;
    let mut tag = "";
    let mut operations: Vec<_> = entries(&api["paths"])
        .flat_map(|(path, item)| entries(item).map(move |(method, op)| (path, method, op)))
        .filter(|(_, _, op)| op.get("operationId").is_some())
        .collect();
    operations.sort_by_key(|(_, _, op)| text(&op["tags"][0]));
    for (path, method, operation) in operations {
        if text(&operation["tags"][0]) != tag {
            tag = text(&operation["tags"][0]);
            write!(out, "<h2>{}</h2>", escape(tag))?;
        }
        render_operation(&mut out, path, method, operation)?;
    }
    out.push_str("<h2>Schemas</h2>");
    for (name, schema) in entries(&api["components"]["schemas"]) {
        let json = serde_json::to_string_pretty(schema).map_err(|_| std::fmt::Error)?;
        let (name, json) = (escape(name), escape(&json));
        write!(out, "<details id=\"{name}\"><summary>{name}</summary><pre>{json}</pre></details>")?;
    }
    Ok(out)
}

fn render_operation(
    out: &mut String,
    path: &str,
    method: &str,
    operation: &Value,
) -> std::fmt::Result {
    write!(
        out,
        "<details><summary><span class=m>{}</span><code>{}</code> <span class=q>{}</span>\
         </summary><p>{}</p><table>",
        escape(&method.to_uppercase()),
        escape(path),
        escape(text(&operation["summary"])),
        escape(text(&operation["description"])),
    )?;
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        write!(
            out,
            "<tr><td><code>{}</code><td class=q>{}<td>{}",
            escape(text(&parameter["name"])),
            escape(text(&parameter["in"])),
            escape(text(&parameter["description"])),
        )?;
    }
    out.push_str("</table>");
    if let Some(body) = operation.get("requestBody") {
        write!(out, "<p>Body: {}</p>", schema_link(body))?;
    }
    let statuses = entries(&operation["responses"]).filter(|(status, _)| status.starts_with('2'));
    for (status, response) in statuses {
        write!(out, "<p>{status}: {}</p>", schema_link(response))?;
    }
    out.push_str("</details>");
    Ok(())
}

/// A link to the schema of a body.
fn schema_link(body: &Value) -> String {
    let reference = text(&body["content"]["application/json"]["schema"]["$ref"]);
    match reference.rsplit('/').next() {
        Some(name) if !name.is_empty() => {
            let name = escape(name);
            format!("<a href=\"#{name}\"><code>{name}</code></a>")
        }
        _ => escape(text(&body["description"])),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
