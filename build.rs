//! Bindings to the httpd and APR headers that `apxs` finds, and the C shim for what only C can say (macros, bit-fields,
//! statics).
//!
//! The allowlists below are the whole of httpd that this module uses.

#![allow(clippy::expect_used, reason = "a build script reports by panicking")]

use std::env;
use std::path::PathBuf;
use std::process::exit;

const FUNCTIONS: &[&str] = &[
    // hooks and configuration
    "ap_hook_(pre_config|check_config|post_config|child_init|child_status|translate_name|access_checker|fixups|handler|log_transaction|pre_connection|suspend_connection)",
    "ap_exists_config_define",
    "ap_(find_linked_module|find_module_short_name|register_errorlog_handler)",
    "ap_(retained_data_create|retained_data_get|state_query|mpm_query|show_mpm|check_cmd_context)",
    "ap_(runtime_dir_relative|server_root_relative|add_version_component|get_server_built)",
    // requests
    "ap_(get_server_banner|get_server_name_for_url|get_server_port|escape_html2|document_root)",
    "ap_(context_prefix|context_document_root|find_path_info|allow_options|get_limit_req_body)",
    "ap_(run_http_scheme|run_generate_log_id|set_content_type|internal_redirect_handler|map_http_request_error|process_request_after_handler)",
    // access control
    "ap_(register_auth_provider|satisfies|psignature)",
    "apr_bcrypt_encode",
    // bodies
    "ap_(get_brigade|pass_brigade|bucket_error_create|send_interim_response)",
    "ap_remove_(in|out)put_filter_byhandle",
    "apr_brigade_(create|cleanup|flatten|length)",
    "apr_bucket_(heap|transient|eos|flush)_create",
    "apr_bucket_(alloc|free|heap_make|setaside_noop|shared_make|shared_split|shared_copy|shared_destroy)",
    "ap_(content_type_tolower|set_content_length|update_mtime|set_last_modified|meets_conditions)",
    // APR
    "apr_(time_exp_lt|palloc|pstrmemdup|stat|strerror|file_write_full)",
    "apr_pool_(cleanup_kill|cleanup_register|cleanup_null|pre_cleanup_register)",
    "apr_(pool_create_ex|pool_destroy|pool_parent_get|date_parse_http|rfc822_date)",
    "apr_(pool_allocator_get|allocator_(max_free_set|alloc|free))",
    "apr_table_(make|get|setn|addn|unset|elts)",
    "ap_(get_conn_socket|rwrite)",
    "ap_get_server_revision",
    "apr_optional_hook_add",
    "apr_(os_file_get|os_sock_get|os_sock_make|dynamic_fn_retrieve)",
    "apr_socket_(timeout_get|timeout_set|close)",
    "apr_sockaddr_info_get",
    "apr_proc_other_child_(register|unregister)",
    "apr_(uid_get|uid_name_get|uid_homepath_get|gid_get|gid_name_get)",
    "ap_(pregcomp|regexec|pregsub)",
    "ap_(exists_scoreboard_image|get_scoreboard_global|get_scoreboard_process|copy_scoreboard_worker)",
    "wsgi_shim_.*",
];

const TYPES: &[&str] = &[
    "module",
    "request_rec",
    "server_rec",
    "conn_rec",
    "cmd_parms",
    "command_rec",
    "ap_directive_t",
    "apr_table_entry_t",
    "apr_bucket_brigade",
    "apr_bucket_type_t",
    "apr_bucket_refcount",
    "apr_array_header_t",
    "ap_regmatch_t",
    "apr_finfo_t",
    "apr_proc_t",
    "ap_listen_rec",
    "ap_errorlog_info",
    "ap_filter_rec_t",
    "ap_filter_t",
    "worker_score",
    "auth[nz]_provider",
];

const CONSTANTS: &[&str] = &[
    "OK",
    "DECLINED",
    "DONE",
    "SUSPENDED",
    "HTTP_.*",
    "AP_FILTER_ERROR",
    "M_GET",
    "OPT_EXECCGI",
    "MODULE_MAGIC_.*",
    "APR_HOOK_(REALLY_FIRST|FIRST|MIDDLE|LAST|REALLY_LAST)",
    "RSRC_CONF",
    "ACCESS_CONF",
    "OR_(FILEINFO|AUTHCFG)",
    "GLOBAL_ONLY",
    "NOT_IN_HTACCESS",
    "AUTH[NZ]_PROVIDER_(GROUP|VERSION)",
    "AP_AUTH_INTERNAL_PER_(CONF|URI)",
    "SATISFY_ANY",
    "AP_SQ_.*",
    "AP_MPMQ_(MPM_STATE|STOPPING|IS_ASYNC|HARD_LIMIT_DAEMONS|HARD_LIMIT_THREADS|MAX_DAEMONS|MAX_THREADS|IS_FORKED|GENERATION)",
    "AP_SERVER_(MAJORVERSION|MINORVERSION|PATCHLEVEL)_NUMBER",
    "AP_REQ_REJECT_PATH_INFO",
    "AP_FTYPE_PROTOCOL",
    "APR_FINFO_.*",
    "APR_[WG]WRITE",
    "APR_OC_REASON_.*",
    "AP_MAX_REG_MATCH",
    "AP_REG_EXTENDED",
    "APR_(TIMEUP|ENOMEM|EGENERAL|RFC822_DATE_LEN)",
    "ap_(server_conf|conftree|unixd_config|listeners)",
    "WSGI_SHIM_.*",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/httpd/bindings.h");
    println!("cargo::rerun-if-changed=src/httpd/shim.c");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let windows = env::var_os("CARGO_CFG_WINDOWS").map(|_| windows_root());
    let flags = match &windows {
        Some(root) => vec![format!("-I{}", root.join("include").display()), "-DWIN32".to_owned()],
        None => compiler_flags(&apxs::Apache::find().unwrap_or_else(|error| refuse(&error.to_string()))),
    };

    bindgen::Builder::default()
        .header("src/httpd/bindings.h")
        .clang_args(&flags)
        .clang_args(builtin_headers())
        .allowlist_recursively(true)
        .allowlist_function(FUNCTIONS.join("|"))
        .allowlist_type(TYPES.join("|"))
        .allowlist_var(CONSTANTS.join("|"))
        .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .derive_debug(false)
        .generate_cstr(true)
        .generate_comments(false)
        .merge_extern_blocks(true)
        .use_core()
        // `rust-version` in Cargo.toml: later releases know lints that it does not.
        .rust_target(bindgen::RustTarget::stable(85, 0).expect("bindgen knows Rust 1.85"))
        .rust_edition(bindgen::RustEdition::Edition2024)
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("statics"))
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .generate()
        .expect("bindgen reads the httpd headers")
        .write_to_file(out.join("bindings.rs"))
        .expect("OUT_DIR is writable");

    let mut shim = cc::Build::new();
    shim.file("src/httpd/shim.c").include(&root);
    let statics = out.join("statics.c");
    if statics.exists() {
        shim.file(statics);
    }
    for flag in &flags {
        shim.flag(flag);
    }
    // httpd's headers have unused parameters in inline functions.
    shim.flag_if_supported("-Wno-unused-parameter").compile("wsgi_shim");

    // Elsewhere httpd's program has all of it when it loads the module.
    if let Some(root) = windows {
        println!("cargo::rustc-link-search=native={}", root.join("lib").display());
        for library in ["libhttpd", "libapr-1", "libaprutil-1"] {
            println!("cargo::rustc-link-lib=dylib={library}");
        }
    }
}

/// Where `stddef.h` and its like are, which belong to a compiler and not to the system. libclang alone, without the
/// package of clang's own (`libclang1` on Debian, the wheel `libclang` on PyPI), has none: then those of the C compiler
/// do, which are looked for last.
fn builtin_headers() -> Vec<String> {
    let asked = cc::Build::new().get_compiler().to_command().arg("-print-file-name=include").output();
    let directory = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned()).unwrap_or_default();
    // A compiler that does not know the directory repeats the question.
    if directory.starts_with('/') { vec!["-idirafter".to_owned(), directory] } else { Vec::new() }
}

/// Says in one sentence what is wrong and how to mend it.
fn refuse(error: &str) -> ! {
    eprintln!("{error}");
    exit(1)
}

/// The directory that an Apache on Windows, which has no apxs, is installed in: `MOD_WSGI_APACHE_ROOTDIR` names it.
fn windows_root() -> PathBuf {
    println!("cargo::rerun-if-env-changed=MOD_WSGI_APACHE_ROOTDIR");
    let root = env::var_os("MOD_WSGI_APACHE_ROOTDIR").map_or_else(|| PathBuf::from("c:\\Apache24"), PathBuf::from);
    let include = root.join("include");
    if !include.join("httpd.h").is_file() {
        refuse(&format!(
            "{} has no httpd.h: set MOD_WSGI_APACHE_ROOTDIR to the directory that Apache is installed in",
            include.display()
        ));
    }
    root
}

/// Include directories and defines with which httpd itself was compiled.
fn compiler_flags(apache: &apxs::Apache) -> Vec<String> {
    let directories = apache.include_dirs().iter().map(|dir| format!("-I{}", dir.display()));
    directories.chain(apache.cpp_defines().iter().cloned()).collect()
}
