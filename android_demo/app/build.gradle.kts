plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.compose)
}

android {
    namespace = "dev.edgedistil.demo"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "dev.edgedistil.demo"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 1
        versionName = "0.1.0"
    }

    buildFeatures {
        compose = true
    }

    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.java.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.java.get())
    }

    androidResources {
        noCompress += "tflite" // a model is compressed hardly at all, and is copied faster if it is stored
    }
}

dependencies {
    implementation(project(":core"))
    implementation(platform(libs.androidx.compose.bom))
    implementation(libs.androidx.activity.compose)
    implementation(libs.androidx.compose.foundation)
    implementation(libs.androidx.compose.material3)
    implementation(libs.androidx.compose.ui)
    implementation(libs.androidx.lifecycle.runtime.compose)
    implementation(libs.androidx.lifecycle.viewmodel.savedstate)
    implementation(libs.kotlinx.coroutines.android)
    implementation(libs.litert)
}

val checkModel =
    tasks.register("checkModel") {
        val model = layout.projectDirectory.file("src/main/assets/smart_home.tflite").asFile
        doLast {
            if (!model.exists()) {
                throw GradleException(
                    "There is no model in ${model.parentFile}. Make it: edgedistil convert --preset " +
                        "smart_home_tiny_en -o android_demo/app/src/main/assets/smart_home.tflite",
                )
            }
        }
    }

tasks.matching { it.name == "preBuild" }.configureEach { dependsOn(checkModel) }
