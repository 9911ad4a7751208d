package android.content

import android.content.pm.PackageManager
import android.content.res.AssetManager
import android.net.Uri
import java.io.File
import java.io.InputStream

open class Context {
    val filesDir: File get() = TODO()
    val cacheDir: File get() = TODO()
    val assets: AssetManager get() = TODO()
    val contentResolver: ContentResolver get() = TODO()
    val packageManager: PackageManager get() = TODO()
    val packageName: String get() = TODO()
}

class ContentResolver {
    fun openInputStream(uri: Uri): InputStream? = TODO()
}
