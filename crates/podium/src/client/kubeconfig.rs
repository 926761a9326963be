//! The client's configuration: a kubeconfig file with a server, its certificate authority and a token.
//!
//! **What it refuses.** Everything else a kubeconfig can hold, by name, and never silently: plug-ins that run
//! commands (`exec`, `auth-provider`), client certificates, passwords, and a connection that is not verified.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use podium_document::{Document, Limits, Node};
use podium_model::secret::Secret;

/// Larger files are no kubeconfig.
const LARGEST: u64 = 1 << 20;

/// What a kubeconfig's current context says.
#[derive(Clone, Debug)]
pub(crate) struct Kubeconfig {
    /// Address, `https://HOST:PORT`, without a slash at its end.
    pub(crate) server: String,
    /// Certificates in PEM.
    pub(crate) certificate_authority: Vec<u8>,
    /// Bearer token.
    pub(crate) token: Secret,
    /// Namespace of the context.
    pub(crate) namespace: Option<String>,
}

impl Kubeconfig {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let size = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "there is no kubeconfig at {shown}\nstart a server, which writes one: podium serve\nor name another: --kubeconfig FILE, or PODIUM_KUBECONFIG"
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("the kubeconfig {shown} cannot be read"));
            }
        };
        if size > LARGEST {
            bail!("the file {shown} has {size} bytes, which no kubeconfig has");
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the kubeconfig {shown} cannot be read"))?;
        Self::parse(&shown.to_string(), &text)
    }

    /// Reads the text.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self> {
        let parsed = Document::parse_all(file, text, Limits::default())
            .map_err(|diagnostics| anyhow!("the kubeconfig is no YAML\n{}", plain(&diagnostics)))?;
        let root = parsed
            .documents
            .first()
            .map(Document::root)
            .with_context(|| format!("the kubeconfig {file} is empty"))?;
        let current = text_of(root, "current-context")
            .with_context(|| format!("the kubeconfig {file} names no `current-context`"))?;
        let context = entry(root, "contexts", current, "context", file)?;
        let cluster_name = text_of(context, "cluster")
            .with_context(|| format!("context `{current}` of {file} names no cluster"))?;
        let user_name = text_of(context, "user")
            .with_context(|| format!("context `{current}` of {file} names no user"))?;
        let cluster = entry(root, "clusters", cluster_name, "cluster", file)?;
        let user = entry(root, "users", user_name, "user", file)?;
        refuse_others(
            cluster,
            &["server", "certificate-authority-data"],
            "cluster",
            cluster_name,
            file,
        )?;
        refuse_others(user, &["token"], "user", user_name, file)?;
        let server = text_of(cluster, "server")
            .with_context(|| format!("cluster `{cluster_name}` of {file} has no `server`"))?
            .trim_end_matches('/');
        if !server.starts_with("https://") {
            bail!(
                "the server `{server}` in {file} is not reached by https, and tokens are sent over nothing else"
            );
        }
        let authority = text_of(cluster, "certificate-authority-data").with_context(|| {
            format!("cluster `{cluster_name}` of {file} has no `certificate-authority-data`, so the server cannot be verified")
        })?;
        let certificate_authority = base64::engine::general_purpose::STANDARD
            .decode(authority)
            .with_context(|| {
                format!("`certificate-authority-data` of cluster `{cluster_name}` in {file} is not base64")
            })?;
        let token = text_of(user, "token")
            .filter(|token| !token.is_empty())
            .with_context(|| format!("user `{user_name}` of {file} has no `token`"))?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the token of user `{user_name}` in {file} holds characters that no token has");
        }
        Ok(Self {
            server: server.to_owned(),
            certificate_authority,
            token: Secret::new(token),
            namespace: text_of(context, "namespace")
                .filter(|namespace| !namespace.is_empty())
                .map(str::to_owned),
        })
    }
}

fn plain(diagnostics: &[podium_document::Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| {
            // The lines themselves may hold a token, so only their numbers are shown.
            let line = diagnostic
                .span
                .map_or_else(String::new, |span| format!(":{}", span.line));
            format!("{}{line}: {}", diagnostic.file, diagnostic.message)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key)?.as_text()
}

/// The entry named `name` of one of the three lists.
fn entry<'n>(root: &'n Node, list: &str, name: &str, inner: &str, file: &str) -> Result<&'n Node> {
    let items = match root.get(list).map(|node| &node.value) {
        Some(podium_document::NodeValue::List(items)) => items.as_slice(),
        _ => &[],
    };
    items
        .iter()
        .find(|item| text_of(item, "name") == Some(name))
        .and_then(|item| item.get(inner))
        .with_context(|| format!("the kubeconfig {file} has no {inner} `{name}`"))
}

fn refuse_others(node: &Node, known: &[&str], what: &str, name: &str, file: &str) -> Result<()> {
    let Some(other) = node
        .entries()
        .iter()
        .map(|entry| &entry.key)
        .find(|key| !known.contains(&key.name.as_str()))
    else {
        return Ok(());
    };
    let remedy = match other.name.as_str() {
        "exec" | "auth-provider" => "Podium runs no command to authenticate: put a token there",
        "certificate-authority" => "put the certificates themselves there, as `certificate-authority-data`",
        "insecure-skip-tls-verify" => "the server is always verified",
        "tokenFile" => "put the token itself there, as `token`",
        _ => "only server, certificate-authority-data and token are supported",
    };
    bail!(
        "{file}:{}: {what} `{name}` sets `{}`, which is not supported\n{remedy}",
        other.span.line,
        other.name
    )
}

#[cfg(test)]
mod tests {
    use super::Kubeconfig;

    const GOOD: &str = "\
apiVersion: v1
kind: Config
current-context: podium
contexts:
- name: podium
  context: {cluster: podium, user: admin, namespace: demo-dev}
clusters:
- name: podium
  cluster:
    server: https://127.0.0.1:7443/
    certificate-authority-data: aGVsbG8=
users:
- name: admin
  user:
    token: s3cr3t-token
";

    #[test]
    fn reads_server_authority_token_and_namespace() {
        let kubeconfig = Kubeconfig::parse("kubeconfig", GOOD).unwrap();
        assert_eq!(kubeconfig.server, "https://127.0.0.1:7443");
        assert_eq!(kubeconfig.certificate_authority, b"hello");
        assert_eq!(kubeconfig.token.expose(), "s3cr3t-token");
        assert_eq!(kubeconfig.namespace.as_deref(), Some("demo-dev"));
        assert!(
            !format!("{kubeconfig:?}").contains("s3cr3t"),
            "the token is not printed"
        );
    }

    #[test]
    fn refuses_everything_else_by_name() {
        let cases = [
            ("    token: s3cr3t-token", "    exec: {command: aws}"),
            ("    token: s3cr3t-token", "    auth-provider: {name: gcp}"),
            (
                "    token: s3cr3t-token",
                "    token: s3cr3t-token\n    client-certificate-data: aGVsbG8=",
            ),
            (
                "    token: s3cr3t-token",
                "    username: me\n    password: s3cr3t-password",
            ),
            ("    token: s3cr3t-token", "    token: \"\""),
            ("    token: s3cr3t-token", "    token: \"a\\nb\""),
            ("https://127.0.0.1:7443/", "http://127.0.0.1:7443"),
            (
                "certificate-authority-data: aGVsbG8=",
                "certificate-authority: /etc/ca.pem",
            ),
            (
                "certificate-authority-data: aGVsbG8=",
                "insecure-skip-tls-verify: true",
            ),
            (
                "certificate-authority-data: aGVsbG8=",
                "certificate-authority-data: '%%%'",
            ),
            ("current-context: podium", "current-context: other"),
            ("current-context: podium", "current-context: [podium"),
        ];
        let mut texts = Vec::new();
        for (from, to) in cases {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let error = Kubeconfig::parse("kubeconfig", &text).expect_err(to);
            let shown = format!("{error:#}");
            assert!(!shown.contains("s3cr3t"), "{shown}");
            texts.push(shown);
        }
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
