package android.content.pm

class PackageInfo {
    @JvmField var lastUpdateTime: Long = 0
}

class PackageManager {
    fun getPackageInfo(packageName: String, flags: Int): PackageInfo = TODO()
}
