//! Prints the description of the API:
//! `cargo run -p hookwright-api --example openapi > openapi.json`.

fn main() {
    print!("{}", hookwright_api::openapi_json());
}
