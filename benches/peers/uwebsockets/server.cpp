// The peer that everything is compared with: uWebSockets as its authors mean it to be used.
//
// uwebsockets [--deflate off|shared|own] [--tls CERT KEY]: listens on a free port of 127.0.0.1 and prints it.
//   /         sends back what comes
//   /room     gets what is published
//   /publish  publishes what it sends
#include "App.h"

#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>

namespace {

struct Nothing {};

struct Asked {
    uWS::CompressOptions compression = uWS::DISABLED;
    bool tls = false;
    std::string cert, key;
};

// Bytes. Larger than any message of the benchmarks.
constexpr unsigned int MESSAGE_BYTES_MAX = 64u << 20;
// Bytes. More than sixteen messages of a mebibyte in flight can pile up.
constexpr unsigned int BACKPRESSURE_MAX = 64u << 20;

template <class App>
int serve(App app, const Asked &asked) {
    using Behavior = typename App::template WebSocketBehavior<Nothing>;
    Behavior echo;
    echo.compression = asked.compression;
    echo.maxPayloadLength = MESSAGE_BYTES_MAX;
    echo.maxBackpressure = BACKPRESSURE_MAX;
    Behavior room = {};
    room.maxBackpressure = BACKPRESSURE_MAX;
    Behavior publish = {};
    publish.maxPayloadLength = MESSAGE_BYTES_MAX;
    const bool compress = asked.compression != uWS::DISABLED;
    echo.message = [compress](auto *ws, std::string_view message, uWS::OpCode kind) {
        ws->send(message, kind, compress);
    };
    room.open = [](auto *ws) { ws->subscribe("room"); };
    // By the app: a socket that has subscribed to nothing cannot publish.
    publish.message = [&app](auto *, std::string_view message, uWS::OpCode kind) {
        app.publish("room", message, kind, false);
    };
    app.template ws<Nothing>("/room", std::move(room))
        .template ws<Nothing>("/publish", std::move(publish))
        .template ws<Nothing>("/*", std::move(echo))
        .listen("127.0.0.1", 0, [](auto *socket) {
            if (!socket) {
                std::cerr << "cannot listen\n";
                std::exit(1);
            }
            constexpr int ssl = std::is_same_v<App, uWS::SSLApp>;
            std::cout << "listening " << us_socket_local_port(ssl, reinterpret_cast<us_socket_t *>(socket)) << std::endl;
        })
        .run();
    return 0;
}

}  // namespace

int main(int count, char **words) {
    Asked asked;
    for (int i = 1; i < count; i++) {
        std::string_view word = words[i];
        if (word == "--deflate" && i + 1 < count) {
            std::string_view how = words[++i];
            if (how == "shared") {
                asked.compression = uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
            } else if (how == "own") {
                asked.compression = uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR | uWS::DEDICATED_DECOMPRESSOR);
            }
        } else if (word == "--tls" && i + 2 < count) {
            asked.tls = true;
            asked.cert = words[++i];
            asked.key = words[++i];
        } else {
            std::cerr << "what is " << word << "?\n";
            return 2;
        }
    }
    if (asked.tls) {
        uWS::SocketContextOptions options = {};
        options.cert_file_name = asked.cert.c_str();
        options.key_file_name = asked.key.c_str();
        return serve(uWS::SSLApp(options), asked);
    }
    return serve(uWS::App(), asked);
}
