//! What mod_auth_basic, mod_auth_digest, mod_auth_form and mod_authz_core ask of others, and what mod_authn_socache
//! remembers.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::OnceLock;

use super::guard::OnPanic;
use super::pool::Pool;
use super::request::Request;
use super::sys::{self, authn_status, authz_status, request_rec};

/// The name of our provider of passwords: `AuthBasicProvider wsgi`.
pub const USERS: &CStr = c"wsgi";

/// The name of our provider of groups: `Require wsgi-group …`.
pub const GROUPS: &CStr = c"wsgi-group";

/// What a provider of passwords answers. A panic is an error, which lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authn {
    /// It is another password.
    Denied,
    /// It is the user's password.
    Granted,
    /// The hash of the user's password has been given.
    Found,
    /// There is no such user here: the next provider is asked.
    NotFound,
    /// The answer is not known.
    Error,
}

impl Authn {
    pub(crate) fn code(self) -> authn_status::Type {
        match self {
            Self::Denied => authn_status::AUTH_DENIED,
            Self::Granted => authn_status::AUTH_GRANTED,
            Self::Found => authn_status::AUTH_USER_FOUND,
            Self::NotFound => authn_status::AUTH_USER_NOT_FOUND,
            Self::Error => authn_status::AUTH_GENERAL_ERROR,
        }
    }
}

impl OnPanic for Authn {
    fn on_panic() -> Self {
        Self::Error
    }
}

/// What a provider of `Require` answers. What nobody knows is an error and no denial, which `Require not` would turn
/// round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authz {
    /// This requirement is not met.
    Denied,
    /// It is met.
    Granted,
    /// It depends on the user, who is not known yet.
    NoUser,
    /// The answer is not known.
    Error,
}

impl Authz {
    pub(crate) fn code(self) -> authz_status::Type {
        match self {
            Self::Denied => authz_status::AUTHZ_DENIED,
            Self::Granted => authz_status::AUTHZ_GRANTED,
            Self::NoUser => authz_status::AUTHZ_DENIED_NO_USER,
            Self::Error => authz_status::AUTHZ_GENERAL_ERROR,
        }
    }
}

impl OnPanic for Authz {
    fn on_panic() -> Self {
        Self::Error
    }
}

/// Registers our providers. They are asked again for a subrequest or an internal redirect only where another section
/// holds.
pub(crate) fn register(pool: Pool<'_>, users: &'static sys::authn_provider, groups: &'static sys::authz_provider) {
    let how = sys::AP_AUTH_INTERNAL_PER_CONF;
    // SAFETY: called while httpd collects hooks; names and records are static, and httpd only reads them.
    unsafe {
        let version = sys::AUTHN_PROVIDER_VERSION.as_ptr();
        let group = sys::AUTHN_PROVIDER_GROUP.as_ptr();
        sys::ap_register_auth_provider(pool.raw(), group, USERS.as_ptr(), version, ptr::from_ref(users).cast(), how);
    }
    // SAFETY: as above.
    unsafe {
        let version = sys::AUTHZ_PROVIDER_VERSION.as_ptr();
        let group = sys::AUTHZ_PROVIDER_GROUP.as_ptr();
        sys::ap_register_auth_provider(pool.raw(), group, GROUPS.as_ptr(), version, ptr::from_ref(groups).cast(), how);
    }
}

/// `ap_authn_cache_store` of mod_authn_socache: request, provider, user, realm, hash.
type Store = unsafe extern "C" fn(*mut request_rec, *const c_char, *const c_char, *const c_char, *const c_char);

/// Lets mod_authn_socache remember the hash of a user's password, where `AuthnCacheProvideFor wsgi` says so. `realm`:
/// of a digest.
pub fn remember(r: &Request<'_>, user: &[u8], realm: Option<&[u8]>, hash: &CStr) {
    static LOOKED_UP: OnceLock<Option<Store>> = OnceLock::new();
    let store = LOOKED_UP.get_or_init(|| {
        // SAFETY: optional functions are registered before the first request and stay.
        let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ap_authn_cache_store".as_ptr()) };
        // SAFETY: the type that mod_auth.h declares for this name.
        found.map(|f| unsafe { std::mem::transmute::<unsafe extern "C" fn(), Store>(f) })
    });
    let Some(store) = store else { return };
    let (user, realm) = (r.pool().text(user), realm.map(|realm| r.pool().text(realm)));
    let realm = realm.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: S1; all strings live during the call, which copies them.
    unsafe { store(r.raw(), USERS.as_ptr(), user.as_ptr(), realm, hash.as_ptr()) };
}

/// The cost of [`hash`], as htpasswd has it by default: some milliseconds.
const COST: u32 = 5;

/// The longest password that bcrypt tells from all others: it looks at 72 bytes, of which the NUL at the end is one.
const PASSWORD: usize = 71;

/// A salted hash of a password, such as mod_authn_socache can compare with; `None` if there is no chance for a salt, or
/// if the hash would be that of other passwords, too, which begin alike.
pub fn hash<'r>(r: &Request<'r>, password: &CStr) -> Option<&'r CStr> {
    if password.count_bytes() > PASSWORD {
        return None;
    }
    let (mut salt, mut hash) = ([0u8; 16], [0 as c_char; 128]);
    if !wsgi_unix::fill_randomly(&mut salt) {
        return None;
    }
    // SAFETY: all buffers have the lengths that are given; the result ends with NUL within its own.
    let status = unsafe {
        sys::apr_bcrypt_encode(password.as_ptr(), COST, salt.as_ptr(), salt.len(), hash.as_mut_ptr(), hash.len())
    };
    let hash = hash.map(|byte| byte as u8);
    (status == 0).then(|| r.pool().text(&hash))
}
