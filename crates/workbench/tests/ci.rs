//! Owns the judgement of packaging/ci: the scripts that the GitHub Action and the GitLab template
//! run, as they run them.
//! Promises: a `curl` of the test's own stands in for both servers, and writes down what it is
//! asked.
//! Never the network.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Product, Ran};

const MARK: &str = "<!-- bootmigrate-certificate -->\n";
/// Answers a list with the file `comments`, and keeps every request with its body.
const CURL: &str = "#!/bin/sh\nfor word in \"$@\"; do case \"$word\" in @-) body=$(cat);; esac; \
                    done\n\
                    printf '%s\\n' \"$*\" \"${body:-}\" >>\"$SERVER/asked\"\ncase \"$*\" in \
                    *per_page=100) cat \"$SERVER/comments\";; esac\n";

fn ci(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/ci").join(name)
}

/// A folder that is the server, with these comments.
struct Server(tempfile::TempDir);

impl Server {
    fn with(comments: &str) -> Server {
        let server = Server(tempfile::tempdir().unwrap());
        server.write("comments", comments);
        server.write("curl", CURL);
        fs::set_permissions(server.0.path().join("curl"), fs::Permissions::from_mode(0o755))
            .unwrap();
        server.write("certificate.md", &format!("{MARK}## \"good\"\n| a | b |\n"));
        server
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Posts with these variables; what it printed, and what the server was asked.
    fn post(&self, variables: &[(&str, &str)]) -> (Ran, String) {
        let mut command = Command::new(ci("post"));
        command.arg("certificate.md").current_dir(self.0.path()).env("SERVER", self.0.path());
        command
            .env("PATH", format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap()));
        for variable in
            ["GITHUB_REPOSITORY", "GITHUB_API_URL", "CI_MERGE_REQUEST_IID", "GITHUB_EVENT_PATH"]
        {
            command.env_remove(variable);
        }
        let ran = Ran::from(command.envs(variables.iter().copied()).output().unwrap());
        (ran, fs::read_to_string(self.0.path().join("asked")).unwrap_or_default())
    }
}

const GITHUB: [(&str, &str); 4] = [
    ("GITHUB_TOKEN", "secret"),
    ("GITHUB_REPOSITORY", "team/gateway"),
    ("GITHUB_API_URL", "https://github.example"),
    ("GITHUB_EVENT_PATH", "event.json"),
];
const GITLAB: [(&str, &str); 4] = [
    ("GITLAB_TOKEN", "secret"),
    ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
    ("CI_PROJECT_ID", "7"),
    ("CI_MERGE_REQUEST_IID", "12"),
];

#[test]
fn a_comment_is_added_or_replaced() {
    let other = r#"{"id": 3, "body": "looks good", "user": {"id": 9}}"#;
    let ours = format!(r#"{{"id": 41, "body": {:?}, "user": {{"id": 9}}}}"#, format!("{MARK}old"));
    for (variables, added, replaced) in [
        (
            GITHUB,
            "--request POST --data @- --output /dev/null \
             https://github.example/repos/team/gateway/issues/12/comments\n",
            "--request PATCH --data @- --output /dev/null \
             https://github.example/repos/team/gateway/issues/comments/41\n",
        ),
        (
            GITLAB,
            "--request POST --data @- --output /dev/null \
             https://gitlab.example/api/v4/projects/7/merge_requests/12/notes\n",
            "--request PUT --data @- --output /dev/null \
             https://gitlab.example/api/v4/projects/7/merge_requests/12/notes/41\n",
        ),
    ] {
        for (comments, wanted) in [
            (format!("[{other}]"), added),
            ("[]".to_owned(), added),
            (format!("[{other}, {ours}]"), replaced),
        ] {
            let server = Server::with(&comments);
            server.write("event.json", r#"{"pull_request": {"number": 12}}"#);
            let (ran, asked) = server.post(&variables);
            assert!(ran.code == 0 && asked.contains(wanted), "{ran:?}\n{asked}");
            let (_, body) = asked.rsplit_once(wanted).unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                body["body"].as_str(),
                Some("<!-- bootmigrate-certificate -->\n## \"good\"\n| a | b |\n")
            );
            assert!(
                !asked.contains("secret") && !ran.out.contains("secret"),
                "a token is on a command line: {asked}"
            );
        }
    }
}

/// Else each failure of the server's adds one more comment.
#[test]
fn a_list_that_cannot_be_had_adds_no_comment() {
    for variables in [GITHUB, GITLAB] {
        let server = Server::with("[]");
        server.write("event.json", r#"{"pull_request": {"number": 12}}"#);
        fs::remove_file(server.0.path().join("comments")).unwrap();
        let (ran, asked) = server.post(&variables);
        assert!(ran.code != 0 && !asked.contains("POST"), "{ran:?}\n{asked}");
    }
}

#[test]
fn nothing_is_posted_without_a_request_or_a_certificate() {
    let server = Server::with("[]");
    server.write("event.json", r#"{"push": true}"#);
    let (ran, asked) = server.post(&GITHUB);
    assert_eq!(
        (ran.code, ran.out.as_str(), asked.as_str()),
        (0, "post: no pull or merge request, so nothing is posted\n", "")
    );
    server.write("certificate.md", "# something else\n");
    let (ran, asked) = server.post(&GITLAB);
    assert!(
        ran.code == 2 && ran.err.contains("certificate.md is no certificate") && asked.is_empty(),
        "{ran:?}"
    );
}

#[test]
fn all_checks_run_and_the_worst_counts() {
    let configuration = "[databases.notes]\npath = \"/var/lib/notes/notes.db\"\n";
    let product = Product::with(&[
        ("bootmigrate.toml", configuration),
        (
            "notes/V1__first.sql",
            "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n",
        ),
    ]);
    product.release();
    let checks = || {
        let mut command = Command::new(ci("checks"));
        command
            .args(["migrations", "out"])
            .current_dir(product.path())
            .env("BOOTMIGRATE_WORKBENCH", env!("CARGO_BIN_EXE_bootmigrate-workbench"))
            .env("BOOTMIGRATE_STATES", "20");
        Ran::from(command.output().unwrap())
    };
    let good = checks();
    let all = ["== check\n", "== lint\n", "== power-cuts\n", "== certificate\n"];
    assert!(good.code == 0 && all.iter().all(|line| good.out.contains(line)), "{good:?}");
    assert!(fs::read_to_string(product.path().join("out/certificate.md"))
        .unwrap()
        .starts_with(MARK));
    product.write("notes/V2__tidy.sql", "DELETE FROM note;\n");
    let found = checks();
    assert!(found.code == 1 && all.iter().all(|line| found.out.contains(line)), "{found:?}");
    product.write("notes/V2__tidy.sql", "DELETE FROM nothing;\n");
    assert_eq!(checks().code, 2);
}
