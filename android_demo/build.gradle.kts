// AGP 9 compiles Kotlin itself; the version of these two plugins is the compiler's.
plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.kotlin.compose) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}
