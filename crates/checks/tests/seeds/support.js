function webSocket(){
　　if("WebSocket" in window){
　　　　console.log("您的浏览器支持WebSocket");
　　　　var ws = new WebSocket("ws://localhost:8080"); //创建WebSocket连接
　　　　//...
　　}else{
　　　　console.log("您的浏览器不支持WebSocket");
　　}
}
