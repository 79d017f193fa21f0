//! Who may come in, as decided by scripts.

use camino::Utf8PathBuf;

use crate::block::Block;

/// How a user proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The password itself.
    Basic,
    /// A digest of it.
    Digest,
}

impl Scheme {
    /// Apache's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Digest => "Digest",
        }
    }
}

/// Users and groups.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// `--auth-type`
    pub scheme: Scheme,
    /// What the client shows its user.
    pub realm: String,
    /// `--auth-user-script`
    pub user_script: Utf8PathBuf,
    /// `--auth-group-script` and `--auth-group`
    pub group: Option<(Utf8PathBuf, String)>,
}

/// Access to the whole site.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `--host-access-script`
    pub host_script: Option<Utf8PathBuf>,
    /// Everybody is asked who they are.
    pub authentication: Option<Authentication>,
}

impl Access {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        if let Some(authentication) = &self.authentication {
            need.push("authz_user");
            need.push(match authentication.scheme {
                Scheme::Basic => "auth_basic",
                Scheme::Digest => "auth_digest",
            });
        }
    }

    pub(crate) fn write(&self, out: &mut Block) {
        if let Some(script) = &self.host_script {
            out.comment("--host-access-script");
            out.section("Location", "/", |l| l.set("WSGIAccessScript", script));
        }
        let Some(Authentication { scheme, realm, user_script, group }) = &self.authentication else { return };
        out.comment("--auth-user-script, --auth-type, --auth-group-script, --auth-group");
        out.section("Location", "/", |l| {
            l.set("AuthType", scheme.name());
            l.set("AuthName", realm);
            l.set(if *scheme == Scheme::Basic { "AuthBasicProvider" } else { "AuthDigestProvider" }, "wsgi");
            l.set("WSGIAuthUserScript", user_script);
            if let Some((script, _)) = group {
                l.set("WSGIAuthGroupScript", script);
            }
            l.bare_section("RequireAll", |all| {
                all.set("Require", "valid-user");
                if let Some((_, name)) = group {
                    all.directive("Require").arg("wsgi-group").arg(name);
                }
            });
        });
    }
}
