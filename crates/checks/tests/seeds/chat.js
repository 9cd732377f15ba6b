if ( 'WebSocket' in window ) {
    websocket = new WebSocket("ws://localhost:9998/echo");
} else {
    alert('当前浏览器不支持websocket');
}

// 连接发生错误的回调方法
websocket.onerror = function () {
    sweetAlert("WebSocket连接发生错误", "","error");
};

// 连接成功的回调方法
websocket.onopen = function () {
    sweetAlert("WebSocket连接成功", "","success");
}

// 接收到消息的回调方法
websocket.onmessage = function (event) {
    var data = JSON.parse( event.data );
    switch ( data.event ) 
    {
        case 'CONNECT':
            var clientId = data.response.client_id;
            $.ajax({
                type: 'GET',
                url: '/socket/chat-uuid',
                data: '',
                dataType: 'json',
                success: function( rs ) {
                    if ( rs.data.uuid ) {
                        var conMessage = '{"url":"/chat/online","chat_token":"abc","uuid":"'+ rs.data.uuid +'"}';
                        websocket.send(conMessage);
                    }
                }
            });
            break;
        case 'ONLINE':
            $.ajax({
                type: 'GET',
                url: '/socket/get-msg',
                data: '',
                dataType: 'json',
                success: function(rs) {
                    // 针对返回的操作
                }
            });
            break;
        case 'MSG':
            // 一些针对MSG的操作
            break;
        default:
            break;
    }
}

// 连接关闭的回调方法
websocket.onclose = function () {
    sweetAlert("WebSocket连接关闭", "","error");
}

// 监听窗口关闭事件，当窗口关闭时，主动去关闭websocket连接，防止连接还没断开就关闭窗口，server端会抛异常。
window.onbeforeunload = function () {
    closeWebSocket();
}

// 关闭WebSocket连接
function closeWebSocket() {
    websocket.close();
}

// 心跳包
function heartBeat() {
    websocket.send('{"url":"/chat/heart-beat","chat_token":"abc"}');
}
setInterval( heartBeat, 60000 );
