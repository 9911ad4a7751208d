import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.fromTarget(libs.versions.java.get())
        // Else a newer JDK's methods could be linked, which Android 7 does not have.
        freeCompilerArgs.add("-Xjdk-release=${libs.versions.java.get()}")
    }
}

java {
    sourceCompatibility = JavaVersion.toVersion(libs.versions.java.get())
    targetCompatibility = JavaVersion.toVersion(libs.versions.java.get())
}

// The tests are a program without a framework, so that they also run where nothing can be downloaded.
val runTests =
    tasks.register<JavaExec>("runTests") {
        classpath = sourceSets["test"].runtimeClasspath
        mainClass = "dev.edgedistil.core.CoreTestsKt"
    }

tasks.named("check") { dependsOn(runTests) }
