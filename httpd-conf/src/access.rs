//! Access control by scripts.

use camino::Utf8PathBuf;

use crate::block::Block;

/// The authentication scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The client sends the password itself.
    Basic,
    /// The client sends a digest of the password.
    Digest,
}

impl Scheme {
    /// The name that Apache has for the scheme.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Digest => "Digest",
        }
    }
}

/// The scripts that know users and groups.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// The value of `--auth-type`.
    pub scheme: Scheme,
    /// The realm that clients show their users.
    pub realm: String,
    /// The value of `--auth-user-script`.
    pub user_script: Utf8PathBuf,
    /// The value of `--auth-group-script` and `--auth-group`.
    pub group: Option<(Utf8PathBuf, String)>,
}

/// Access control for the whole site.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The value of `--host-access-script`.
    pub host_script: Option<Utf8PathBuf>,
    /// The authentication of users, if they have to say who they are.
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
