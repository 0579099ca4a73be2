//! The case of AWS Copilot and Aurora: from `DEMO_DB_SECRET_ARN` to a connection.

use serde_json::json;

use super::fault::FaultServer;
use super::programs::{Postgres, find_program};
use super::{secret, with_server};

/// Everything that has a meaning in a URL.
const PASSWORD: &str = "p@ss:w/rd%#x y";

#[test]
fn auroras_json_becomes_a_url_that_connects() {
    find_program("psql");
    let database = Postgres::start("app user", PASSWORD);
    for (host, engine) in [("::1", "aurora-postgresql"), ("127.0.0.1", "postgres")] {
        let server = FaultServer::start();
        let value = json!({
            "dbClusterIdentifier": "demo-cluster",
            "engine": engine,
            "host": host,
            "port": database.port(),
            "username": "app user",
            "password": PASSWORD,
            "dbname": "postgres",
        });
        server.secret(&secret("demo"), &value.to_string());
        let config = "[process.app]\n\
                      command = 'psql \"$DATABASE_URL\" -Atc \"select 1, current_user, host(inet_server_addr())\"'\n\
                      [secrets.DATABASE_URL]\nfrom = \"${DEMO_DB_SECRET_ARN}\"\nas = \"database-url\"\n";
        let run = with_server(config, &server)
            .env("DEMO_DB_SECRET_ARN", &secret("demo"))
            .start();
        let exit = run.exit();
        assert_eq!(exit.messages("app"), [format!("1|app user|{host}")]);
        assert_eq!(exit.code, Some(0));
    }
}
