/** The way to onion services: Tor's own door on the phone, which Orbot opens. */
package org.sottovoce.phone.network

import java.io.IOException
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.Proxy
import java.net.ProxySelector
import java.net.SocketAddress
import java.net.URI

/** Where Tor takes SOCKS connections unless somebody has set another port. */
private const val TOR_SOCKS_PORT = 9050

/**
 * Names that end in .onion go to Tor's SOCKS port as names, and are never asked of a resolver (RFC 7686, section 2). There is no TLS to them, so whoever
 * answers a question for such a name with an address of their own would read bearer tokens. Without Tor there is no connection.
 */
class OnionsByTor(port: Int = TOR_SOCKS_PORT) : ProxySelector() {
    private val tor = listOf(Proxy(Proxy.Type.SOCKS, InetSocketAddress(InetAddress.getByAddress(byteArrayOf(127, 0, 0, 1)), port)))
    private val others: ProxySelector? = getDefault()

    override fun select(uri: URI): List<Proxy> {
        if (uri.host.orEmpty().trimEnd('.').endsWith(".onion", ignoreCase = true)) return tor
        return others?.select(uri) ?: listOf(Proxy.NO_PROXY)
    }

    override fun connectFailed(uri: URI, address: SocketAddress, error: IOException) {
        others?.connectFailed(uri, address, error)
    }
}
